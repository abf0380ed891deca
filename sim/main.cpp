// vectorshard-sim: replays trajectories through a placement policy and prints what came of it (docs/simulator.md).
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <stdexcept>
#include <string>

#include "city.hpp"
#include "commuters.hpp"
#include "nodes.hpp"
#include "policies.hpp"
#include "replay.hpp"
#include "trace.hpp"

namespace vectorshard::sim {

namespace {

constexpr const char *kUsage =
    "usage: vectorshard-sim --trajectories FILE[.xz]|FOLDER|city:CLIENTS|commuters:PEOPLE --sites FILE | --grid RxC:lat0,lat1,lon0,lon1 --transfer-s T\n"
    "  [--session-gap-s 180] [--policy auto|reach|vomm2|fomm5|nearest-K|reactive|dead-reckoning|everywhere|oracle]\n"
    "  [--keep-s N] [--thin-s N] [--clients R/N] [--utc-offset-h H] [--set NAME=VALUE]... [--json FILE]\n";

constexpr std::string_view kCity = "city:", kCommuters = "commuters:";

struct Options {
  std::string trajectories, sites, grid, policy = "auto", json;
  ReplaySettings replay;
  PolicyOptions of_policy;
  double thin_s = 0;
  unsigned part = 0, parts = 1;
  bool utc_offset_given = false;
};

double number(const std::string &option, const std::string &text, double min) {
  size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception &) {
    used = 0;
  }
  if (used == 0 || used != text.size() || !(value >= min)) throw std::runtime_error(option + " " + text + ": give a number, " + std::to_string(min) + " or more");
  return value;
}

void take_setting(const std::string &text, Options &o) {
  size_t equals = text.find('=');
  if (equals == std::string::npos) throw std::runtime_error("--set " + text + ": give NAME=VALUE");
  o.of_policy.settings[text.substr(0, equals)] = number("--set", text.substr(equals + 1), -1e18);
}

void take(const std::string &option, const std::string &value, Options &o) {
  if (option == "--trajectories") o.trajectories = value;
  else if (option == "--sites") o.sites = value;
  else if (option == "--grid") o.grid = value;
  else if (option == "--policy") o.policy = value;
  else if (option == "--json") o.json = value;
  else if (option == "--transfer-s") o.replay.transfer_s = number(option, value, 0);
  else if (option == "--session-gap-s") o.replay.session_gap_s = number(option, value, 0);
  else if (option == "--keep-s") o.replay.keep_s = number(option, value, 0);
  else if (option == "--thin-s") o.thin_s = number(option, value, 0);
  else if (option == "--set") take_setting(value, o);
  else if (option == "--utc-offset-h") {
    o.of_policy.utc_offset_h = number(option, value, -24);
    o.utc_offset_given = true;
  } else if (option == "--clients") {
    char rest = 0;
    if (std::sscanf(value.c_str(), "%u/%u%c", &o.part, &o.parts, &rest) != 2 || o.part >= o.parts)
      throw std::runtime_error("--clients " + value + ": give R/N with R from 0 to N - 1");
  } else {
    throw std::runtime_error("unknown option " + option);
  }
}

Options parse(int argc, char **argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    std::string option = argv[i];
    if (option == "--help" || option == "-h") {
      std::fputs(kUsage, stdout);
      std::exit(0);
    }
    if (i + 1 == argc) throw std::runtime_error(option + " needs a value");
    take(option, argv[i + 1], o);
  }
  if (o.trajectories.empty()) throw std::runtime_error("--trajectories is missing");
  const bool made_up = o.trajectories.starts_with(kCity) || o.trajectories.starts_with(kCommuters);
  if (made_up ? !o.sites.empty() && !o.grid.empty() : o.sites.empty() == o.grid.empty()) throw std::runtime_error("give --sites or --grid");
  o.of_policy.transfer_s = o.replay.transfer_s;
  o.of_policy.session_gap_s = o.replay.session_gap_s;
  return o;
}

/// One line on the terminal, nothing elsewhere.
void show_progress(size_t done, size_t of) {
  if (!isatty(STDERR_FILENO)) return;
  constexpr size_t kWidth = 40;
  size_t filled = of ? done * kWidth / of : kWidth;
  std::fprintf(stderr, "\r[%s%s] %3zu %%", std::string(filled, '#').c_str(), std::string(kWidth - filled, ' ').c_str(), of ? done * 100 / of : 100);
  if (done == of) std::fputc('\n', stderr);
}

void write_json(const Options &o, const Metrics &m) {
  std::ofstream out(o.json);
  char text[1600];
  std::snprintf(text, sizeof text,
                "{\"policy\": \"%s\", \"transfer_s\": %g, \"session_gap_s\": %g, \"keep_s\": %g, \"thin_s\": %g, \"reports\": %llu, \"clients\": %llu, "
                "\"sessions\": %llu, \"moves\": %llu, \"session_s\": %.0f, \"ahr\": %.6f, \"shr\": %.6f, \"availability\": %.6f, \"surplus\": %.6f, "
                "\"surplus_ready\": %.6f, \"offline_share\": %.6f, \"transfers_per_move\": %.6f, \"waste\": %.6f, \"lead_p5_s\": %.3f, \"lead_p50_s\": %.3f, "
                "\"lead_p95_s\": %.3f, \"us_per_report\": %.4f, \"bytes_per_client\": %zu}\n",
                o.policy.c_str(), o.replay.transfer_s, o.replay.session_gap_s, o.replay.keep_s, o.thin_s, static_cast<unsigned long long>(m.reports),
                static_cast<unsigned long long>(m.clients), static_cast<unsigned long long>(m.sessions), static_cast<unsigned long long>(m.moves), m.session_s,
                m.ahr(), m.shr(), m.availability(), m.surplus(), m.surplus_ready(), m.session_s > 0 ? m.offline_s / m.session_s : 0, m.transfers_per_move(),
                m.waste(), m.lead_s(0.05), m.lead_s(0.5), m.lead_s(0.95), m.us_per_report(), m.bytes_per_client);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + o.json);
}

void print(const Options &o, const Metrics &m) {
  std::printf("sim: policy=%s reports=%llu clients=%llu moves=%llu ahr=%.4f availability=%.4f surplus=%.4f transfers_per_move=%.3f waste=%.4f "
              "lead_p50_s=%.1f us_per_report=%.2f bytes_per_client=%zu\n",
              o.policy.c_str(), static_cast<unsigned long long>(m.reports), static_cast<unsigned long long>(m.clients), static_cast<unsigned long long>(m.moves),
              m.ahr(), m.availability(), m.surplus(), m.transfers_per_move(), m.waste(), m.lead_s(0.5), m.us_per_report(), m.bytes_per_client);
}

/// From a file, a folder, or a generator.
Trace trajectories(const std::string &from) {
  auto how_many = [&](std::string_view generator) {
    return static_cast<size_t>(number("--trajectories " + std::string(generator), from.substr(generator.size()), 1));
  };
  if (from.starts_with(kCity)) return city(how_many(kCity));
  if (from.starts_with(kCommuters)) return commuters(how_many(kCommuters));
  return read_trace(from);
}

int run(int argc, char **argv) {
  Options o = parse(argc, argv);
  Trace trace = trajectories(o.trajectories);
  if (o.parts > 1) keep_part(trace, o.part, o.parts);
  if (o.thin_s > 0) thin(trace, o.thin_s);
  Nodes nodes = !o.sites.empty() ? read_sites(o.sites) : !o.grid.empty() ? grid(o.grid) : o.trajectories.starts_with(kCity) ? city_sites() : commuters_grid();
  // Habits follow the clock on the wall where the clients are.
  if (!o.utc_offset_given && !trace.fixes.empty()) o.of_policy.utc_offset_h = std::round(trace.fixes[0].lon() / 15);
  o.replay.progress = show_progress;
  Metrics m = o.policy == "oracle" ? oracle(trace, nodes, o.replay)
                                   : replay(trace, nodes, o.replay, *make_policy(o.policy, trace, nodes, o.of_policy));
  show_progress(1, 1);
  if (!o.json.empty()) write_json(o, m);
  print(o, m);
  return 0;
}

}  // namespace

}  // namespace vectorshard::sim

int main(int argc, char **argv) {
  try {
    return vectorshard::sim::run(argc, argv);
  } catch (const std::exception &e) {
    std::fprintf(stderr, "vectorshard-sim: %s\n%s", e.what(), vectorshard::sim::kUsage);
    return 2;
  }
}
