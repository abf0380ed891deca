// Every statement below is one an application without any knowledge of the fabric would send.
#include "application.hpp"

#include <chrono>
#include <cmath>
#include <thread>

#include "stop.hpp"

namespace vectorshard::demo {
namespace {

constexpr int kTries = 8;
constexpr int kWarmUpTries = 1500;  // 0.02 s each
constexpr int kTileBytes = 6000;
constexpr size_t kMostTiles = 8;

constexpr Statement kReport = {
    "report", "SELECT vectorshard.report($1, ST_SetSRID(ST_MakePoint($3::float8, $2::float8), 4326)::geography, "
              "$4::float8, $5::float8, to_timestamp($6::float8))"};
constexpr Statement kReadProfile = {"read_profile",
                                    "SELECT p.*, m.name AS model_name FROM profile p JOIN vehicle_model m USING (model) "
                                    "WHERE p.client = $1"};
constexpr Statement kReadTiles = {"read_tiles", "SELECT tile, kind, rev, data FROM map_tile WHERE client = $1"};
constexpr Statement kUpdateProfile = {
    "update_profile", "UPDATE profile SET seq = seq + 1, updated_at = now() WHERE client = $1 RETURNING seq"};
constexpr Statement kUpdateTile = {
    "update_tile", "UPDATE map_tile SET rev = $3::bigint, data = $4::bytea, updated_at = now() "
                   "WHERE client = $1 AND tile = $2::int"};
constexpr Statement kInsertTile = {"insert_tile",
                                   "INSERT INTO map_tile (client, tile, kind, rev, data, updated_at) "
                                   "VALUES ($1, $2::int, 'road', $3::bigint, $4::bytea, now())"};
constexpr Statement kDeleteTile = {"delete_tile", "DELETE FROM map_tile WHERE client = $1 AND tile = $2::int"};
constexpr Statement kLook = {
    "look", "SELECT coalesce((SELECT NOT leaving FROM vectorshard.resident WHERE client = $1), false), "
            "(SELECT seq FROM ONLY profile WHERE client = $1), "
            "(SELECT sum(rev) FROM ONLY map_tile WHERE client = $1)"};
constexpr Statement kHomeState = {
    "home_state", "SELECT EXISTS (SELECT FROM vectorshard.resident WHERE client = $1)"};

double ms_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

Param number_or_null(double value) { return std::isnan(value) ? Param() : Param(std::to_string(value)); }

}  // namespace

Inspectors::Inspectors(const Fabric &fabric) : fabric_(fabric), inspectors_(fabric.edges() + 1) {
  for (size_t i = 0; i < inspectors_.size(); i++)
    inspectors_[i].connection = std::make_unique<Connection>(fabric.conninfo_admin(i));
}

Inspectors::Held Inspectors::look(size_t node, const FleetClient &client) {
  const std::lock_guard hold(inspectors_[node].lock);
  const Rows rows = inspectors_[node].connection->execute(kLook, {client.name});
  Held held;
  held.resident = rows.flag(0, 0);
  held.current = held.resident && !rows.null(0, 1) && !rows.null(0, 2) && rows.number(0, 1) == client.seq &&
                 rows.number(0, 2) == client.sum_of_revs();
  return held;
}

bool Inspectors::hot_at_home(const FleetClient &client) {
  Inspector &core = inspectors_[fabric_.core_index()];
  const std::lock_guard hold(core.lock);
  return core.connection->execute(kHomeState, {client.name}).flag(0, 0);
}

Application::Application(const Fabric &fabric, Inspectors &inspectors, unsigned seed)
    : fabric_(fabric), inspectors_(inspectors), connections_(fabric.edges()), random_(seed) {
  for (size_t i = 0; i < connections_.size(); i++) at(i);
}

Connection &Application::at(size_t node) {
  if (!connections_[node]) connections_[node] = std::make_unique<Connection>(fabric_.conninfo_app(node));
  return *connections_[node];
}

template <class F>
bool Application::attempt(FleetClient &client, F what) {
  for (int i = 0;; i++) {
    try {
      what();
      return true;
    } catch (const PgError &e) {
      check_stop();
      if (e.connection_lost()) client.outcome_unknown = true;
      if (e.retryable() && i + 1 < kTries) {
        outcome_.retries++;
        std::this_thread::sleep_for(std::chrono::milliseconds(5 << i));
        continue;
      }
      outcome_.errors[e.sqlstate + " " + e.what()]++;
      return false;
    }
  }
}

void Application::report(FleetClient &client, const Step &step, double observed_unix_s) {
  const Report &r = step.report;
  client.last_report = &step.report;
  outcome_.reports++;
  attempt(client, [&] {
    at(step.node).execute(kReport, {client.name, std::to_string(r.at.lat), std::to_string(r.at.lon),
                                    number_or_null(r.speed_mps), number_or_null(r.heading_deg),
                                    std::to_string(observed_unix_s)});
  });
}

void Application::warm_up(FleetClient &client, size_t node, double observed_unix_s) {
  Step step;
  step.report.at = fabric_.places()[node];
  step.node = node;
  report(client, step, observed_unix_s);
  attempt(client, [&] {
    at(node).execute(kReadProfile, {client.name});
    at(node).execute(kReadTiles, {client.name});
    update_profile(client, node);
    update_tile(client, node);
    insert_tile(client, node);
  });
  // Looked for at once: the client says no more, so its copy does not stay.
  for (int tries = 0; !inspectors_.look(node, client).resident; tries++) {
    if (tries == kWarmUpTries) throw std::runtime_error("no copy of " + client.name + " has come to the node that serves it");
    sleep_s(0.02);
  }
  if (!outcome_.errors.empty()) throw std::runtime_error("the application's first statements failed: " + outcome_.errors.begin()->first);
  outcome_ = Outcome();
}

void Application::note_need(FleetClient &client) {
  if (!client.sent_to_store.exchange(false)) return;
  outcome_.needed_from_store++;
  outcome_.back_in_time += inspectors_.hot_at_home(client);
}

void Application::first_access(FleetClient &client, const Step &step) {
  const auto held = inspectors_.look(step.node, client);
  Rows profile(nullptr), tiles(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const bool done = attempt(client, [&] {
    profile = at(step.node).execute(kReadProfile, {client.name});
    tiles = at(step.node).execute(kReadTiles, {client.name});
  });
  const double access_ms = ms_since(start);
  outcome_.arrivals.push_back(
      {step.report.at, step.node, step.starts, held.resident, done && held.current, access_ms});
  if (!done) return;
  std::set<std::string> seen;
  for (int i = 0; i < tiles.count(); i++) seen.insert(tiles.str(i, 0));
  if (profile.count() != 1 || static_cast<int>(seen.size()) != tiles.count()) outcome_.wrong_reads++;
}

void Application::update_profile(FleetClient &client, size_t node) {
  const Rows rows = at(node).execute(kUpdateProfile, {client.name});
  if (rows.count() == 0) {
    outcome_.missed_writes++;
    return;
  }
  const int64_t seq = rows.number(0, 0);
  if (seq <= client.seq) outcome_.stale_writes++;
  client.seq = seq;
}

void Application::update_tile(FleetClient &client, size_t node) {
  if (client.tiles.empty()) return;
  auto tile = client.tiles.begin();
  std::advance(tile, random_() % client.tiles.size());
  const int64_t rev = client.last_rev + 1;
  const Rows rows = at(node).execute(
      kUpdateTile, {client.name, std::to_string(tile->first), std::to_string(rev), random_tile()});
  client.last_rev = rev;
  if (rows.touched() == 1)
    tile->second = rev;
  else
    outcome_.missed_writes++;
}

void Application::insert_tile(FleetClient &client, size_t node) {
  const int tile = client.tiles.empty() ? 1 : client.tiles.rbegin()->first + 1;
  const int64_t rev = client.last_rev + 1;
  at(node).execute(kInsertTile, {client.name, std::to_string(tile), std::to_string(rev), random_tile()});
  client.last_rev = rev;
  client.tiles[tile] = rev;
}

void Application::delete_tile(FleetClient &client, size_t node) {
  const auto oldest = client.tiles.begin();
  const Rows rows = at(node).execute(kDeleteTile, {client.name, std::to_string(oldest->first)});
  if (rows.touched() == 1)
    client.tiles.erase(oldest);
  else
    outcome_.missed_writes++;
}

std::string Application::random_tile() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\\x";
  for (int i = 0; i < kTileBytes * 2; i += 16)
    for (uint64_t bits = random_(), j = 0; j < 16; j++, bits >>= 4) out += kHex[bits & 15];
  return out;
}

void Application::write(FleetClient &client, size_t node) {
  const double choice = uniform();
  const auto start = std::chrono::steady_clock::now();
  const bool done = attempt(client, [&] {
    if (choice < 0.6)
      update_profile(client, node);
    else if (choice < 0.85)
      update_tile(client, node);
    else if (client.tiles.size() > kMostTiles)
      delete_tile(client, node);
    else
      insert_tile(client, node);
  });
  if (!done) return;
  outcome_.writes++;
  outcome_.write_ms.push_back(ms_since(start));
}

void Application::run(FleetClient &client, const Step &step, double observed_unix_s, double writes) {
  if (step.kind == Step::Kind::report) report(client, step, observed_unix_s);
  if (step.arrival || step.kind == Step::Kind::open || step.moving) note_need(client);
  if (step.arrival) {
    client.serving = step.node;
    first_access(client, step);
  } else if (step.kind == Step::Kind::open) {
    client.serving = step.node;
  }
  if (step.moving)
    for (double left = writes; left > 0; left -= 1)
      if (uniform() < left) write(client, step.node);
  if (step.last) client.serving = kNowhere;
}

}  // namespace vectorshard::demo
