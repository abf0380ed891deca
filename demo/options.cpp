// Environment variables, because make hands them on.
#include "options.hpp"

#include <cstdlib>
#include <stdexcept>

namespace vectorshard::demo {
namespace {

std::string variable(const char *name, const std::string &otherwise) {
  const char *value = std::getenv(name);
  return value && *value ? value : otherwise;
}

double number(const char *name, double otherwise, double min, double max) {
  const std::string given = variable(name, "");
  if (given.empty()) return otherwise;
  char *end = nullptr;
  const double value = std::strtod(given.c_str(), &end);
  if (*end || !(value >= min && value <= max))
    throw std::runtime_error(std::string(name) + "=" + given + " is not a number from " + std::to_string(min) + " to " +
                             std::to_string(max));
  return value;
}

size_t count(const char *name, size_t otherwise, size_t min, size_t max) {
  return static_cast<size_t>(
      number(name, static_cast<double>(otherwise), static_cast<double>(min), static_cast<double>(max)));
}

}  // namespace

Options read_options() {
  Options o;
  o.trajectories = variable("TRAJECTORIES", "");
  o.sites = variable("SITES", "");
  if (o.trajectories.empty() != o.sites.empty())
    throw std::runtime_error("give both TRAJECTORIES and SITES, or neither for a generated city");
  o.source = variable("SOURCE", o.trajectories);
  o.map = variable("MAP", "demo-map.svg");
  o.map_shown = variable("MAP_SHOWN", o.map);
  o.bin = variable("PG_BIN", "/usr/lib/postgresql/15/bin");
  o.nodes = count("NODES", o.nodes, 1, 20);
  o.clients = count("CLIENTS", o.clients, 1, 500);
  o.pausing_clients = count("PAUSING", o.pausing_clients, 0, 500);
  o.window_s = 60 * number("WINDOW", o.window_s / 60, 5, 24 * 60);
  o.replay_s = number("REPLAY_SECONDS", o.replay_s, 5, 3600);
  o.pause_s = 60 * number("PAUSE", o.pause_s / 60, 1, 24 * 60);
  o.archived = count("ARCHIVED", o.archived, 0, 50);
  o.archive = {variable("ARCHIVE_URL", ""), variable("ARCHIVE_LOGIN", ""), number("ARCHIVE_THAW_S", 0, 0, 3600)};
  o.threads = count("THREADS", o.threads, 1, 32);
  o.keep = !variable("KEEP", "").empty();
  return o;
}

}  // namespace vectorshard::demo
