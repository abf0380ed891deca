// Times are of the wall clock: the archive does not know that the demo's clients live faster.
#include "archive.hpp"

#include <chrono>
#include <cmath>

#include "application.hpp"
#include "progress.hpp"
#include "schema.hpp"
#include "stop.hpp"

namespace vectorshard::demo {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kMoveLimitS = 120;
constexpr double kFirstComesS = 8;   // after the archive's delay
constexpr double kNextComesS = 0.7;  // after the one before
constexpr double kStaysS = 60;

constexpr Statement kRead = {"archive_read", "SELECT p.seq, (SELECT count(*) FROM map_tile t WHERE t.client = $1) FROM profile p WHERE p.client = $1"};

void wait_for(Connection &core, const std::string &sql, const char *what) {
  for (const auto start = Clock::now(); core.run(sql).number(0, 0) > 0; sleep_s(0.2)) {
    check_stop();
    if (std::chrono::duration<double>(Clock::now() - start).count() > kMoveLimitS) throw std::runtime_error(std::string("time is up: ") + what);
  }
}

void send_to_archive(Connection &core, const Fleet &fleet, const ArchiveOptions &options) {
  core.query("SELECT vectorshard.create_store('archive', $1, $2::float8)", {options.url, std::to_string(options.thaw_s)});
  core.run("CREATE USER MAPPING FOR CURRENT_USER SERVER archive OPTIONS (" + options.login + ")");
  for (const auto &client : fleet.clients) core.query("SELECT vectorshard.move_to_cold($1, 'archive')", {client->name});
  wait_for(core, "SELECT count(*) FROM vectorshard.tier_moves WHERE direction = 'cold' AND store = 'archive' AND state <> 'done'", "clients go to the archive");
}

/// Is there at the client's time; what its node holds then, and how long its first access takes.
void come(const Fabric &fabric, Inspectors &inspectors, const FleetClient &client, size_t node, ArchiveOutcome &out) {
  const Inspectors::Held held = inspectors.look(node, client);
  out.in_time += held.current;
  if (!held.current) out.findings.push_back(client.name + (held.resident ? " was there, but old" : " was not there yet"));
  Connection application(fabric.conninfo_app(node));
  application.run("SELECT 1");
  const auto start = Clock::now();
  try {
    const Rows rows = application.execute(kRead, {client.name});
    out.access_ms.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    if (rows.count() != 1 || rows.number(0, 0) != client.seq || rows.number(0, 1) != static_cast<int64_t>(client.tiles.size()))
      out.findings.push_back(client.name + ": rows are missing");
  } catch (const PgError &e) {
    out.findings.push_back(client.name + ": " + e.what());
  }
}

}  // namespace

Plan archived_clients(size_t count) {
  Plan plan;
  for (size_t i = 1; i <= count; i++) plan.clients.push_back({"expected." + std::to_string(i), {}, 0});
  return plan;
}

ArchiveOutcome archive_act(const Fabric &fabric, Fleet &fleet, const ArchiveOptions &options) {
  ArchiveOutcome out;
  out.clients = fleet.clients.size();
  out.thaw_s = options.thaw_s;
  Connection core(fabric.conninfo_admin(fabric.core_index()));
  load_fleet(core, fleet);
  send_to_archive(core, fleet, options);
  Inspectors inspectors(fabric);
  // What a move to the archive leaves in the core node's cache can be read at once; the archive's own delay is to be seen.
  fabric.forget_copies();
  for (const auto &client : fleet.clients) {
    try {
      core.execute(kRead, {client->name});
    } catch (const PgError &e) {
      out.refused += e.sqlstate == "55000";
    }
  }
  const auto start = Clock::now();
  for (size_t i = 0; i < fleet.clients.size(); i++) {
    const double in_s = options.thaw_s + kFirstComesS + kNextComesS * static_cast<double>(i);
    core.query("SELECT vectorshard.hint($1, $2, clock_timestamp() + make_interval(secs => $3::float8), clock_timestamp() + make_interval(secs => $4::float8))",
               {fleet.clients[i]->name, "edge" + std::to_string(i % fabric.edges() + 1), std::to_string(in_s), std::to_string(in_s + kStaysS)});
  }
  for (size_t i = 0; i < fleet.clients.size(); i++) {
    const std::chrono::duration<double> in(options.thaw_s + kFirstComesS + kNextComesS * static_cast<double>(i));
    const double left_s = std::chrono::duration<double>(start + in - Clock::now()).count();
    if (left_s > 0) sleep_s(left_s);
    come(fabric, inspectors, *fleet.clients[i], i % fabric.edges(), out);
  }
  out.by_prediction = static_cast<size_t>(
      core.run("SELECT count(*) FROM vectorshard.tier_moves WHERE direction = 'hot' AND store = 'archive' AND brought_back_by = 'prediction'").number(0, 0));
  return out;
}

}  // namespace vectorshard::demo
