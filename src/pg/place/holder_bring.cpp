// What the holder worker does about a client that should be here: find a source and start a copy, bring it back from
// the store if this is its home, or have it born. Every step commits before the next; see docs/architecture.md, "Copy".
#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/written_at_home.hpp"
#include "pg/place/birth.hpp"
#include "pg/place/holder.hpp"
#include "pg/tier/api.hpp"

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

// Clients in one job: enough to share the round trips, few enough that the first does not wait for the last.
constexpr size_t kJobClients = 16;
// A copy that takes less from its home is made from there.
constexpr double kFarHomeS = 0.1;
// An answer of a core node to a birth; it waits at most 300 ms for a concurrent birth (lock_timeout).
constexpr int kBirthMs = 2000;

constexpr char kBirthQuery[] = "SELECT home, epoch, version, born FROM vectorshard.birth_client($1)";

void insert_client(bridge::Spi &spi, std::string_view client, const ClientRow &row) {
  spi.execute("INSERT INTO vectorshard.client AS c (client, home, epoch, _version) VALUES ($1, $2, $3, $4) "
              "ON CONFLICT (client) DO UPDATE SET home = excluded.home, epoch = excluded.epoch, "
              "_version = excluded._version WHERE (c.epoch, c._version) < (excluded.epoch, excluded._version)",
              {p_text(client), p_int4(row.home), p_int8(row.epoch), p_int8(row.version)});
}

/// Empty residency of a client that was born a moment ago, with our holder row. Not `confirmed`: its home may know rows.
void insert_residency(bridge::Spi &spi, std::string_view client, bool confirmed) {
  Version version = apply::stamp();
  spi.execute("INSERT INTO vectorshard.resident (client, generation, confirmed) VALUES ($1, $2, $3) "
              "ON CONFLICT (client) DO NOTHING",
              {p_text(client), p_int8(version), bridge::p_bool(confirmed)});
  spi.execute("INSERT INTO vectorshard.holder (client, node, generation, state, _version) VALUES ($1, $2, $3, 'live', $3) "
              "ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state",
              {p_text(client), p_int4(bridge::self_node()), p_int8(version)});
}

/// Where the client may be born, the nearest first.
std::vector<NodeId> core_nodes(const std::string &client) {
  std::vector<NodeId> out;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept("SELECT d.node FROM vectorshard.core_nodes_by_distance($1) d "
                               "WHERE NOT EXISTS (SELECT FROM vectorshard.bans_of(ARRAY[$2], d.node))",
                               {p_int4(bridge::self_node()), p_text(client)});
    for (size_t i = 0; i < rows.size(); i++) out.push_back(static_cast<NodeId>(rows.int8(i, 0)));
  }
  tx.commit();
  return out;
}

Error leaving_error(const std::string &client) {
  return Error{Errc::unavailable, "this node is leaving the fabric: client \"" + client + "\" is not copied here",
               "vectorshard.remove_node() was called for it.", "Write on another node."};
}

Error no_source(const Missing &m, const Error &why) {
  return Error{why.code, "client \"" + m.client + "\" cannot be brought here: no node that holds it answers",
               "Its home is node " + std::to_string(m.home) + ": " + why.message + ". " + why.detail,
               "Retry the transaction when that node answers."};
}

int64_t int8_of(const PGresult *r, int column) { return std::stoll(PQgetvalue(r, 0, column)); }

}  // namespace

/// Other nodes that hold the client and may be tried, the newest first.
std::vector<Source> Holder::other_holders(const Missing &m) {
  std::vector<Source> out;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept("SELECT node FROM vectorshard.holder WHERE client = $1 AND state = 'live' "
                               "AND node <> $2 AND node <> $3 ORDER BY _version DESC",
                               {p_text(m.client), p_int4(bridge::self_node()), p_int4(m.home)});
    for (size_t i = 0; i < rows.size(); i++) {
      NodeId node = static_cast<NodeId>(rows.int8(i, 0));
      if (back_off_.ready(node, now_s())) out.push_back({node, paths_.contains(node) ? paths_.at(node) : Path{}});
    }
  }
  tx.commit();
  return out;
}

/// The home if it may be tried, or a live holder that is much nearer; else another live holder; kNoNode if there is none. What comes
/// from a holder is not confirmed: the home is asked next whether it has anything more. What sessions of this node have changed at the home
/// lately a holder may not have.
NodeId Holder::choose_source(const Missing &m) {
  bool home_ready = back_off_.ready(m.home, now_s());
  if (m.resident) return home_ready ? m.home : kNoNode;  // unconfirmed: only the home can confirm
  Source home{m.home, paths_.contains(m.home) ? paths_.at(m.home) : Path{}};
  double bytes = static_cast<double>(m.bytes);
  int64 written_us = bridge::written_at_home_us(m.client);
  bool changed = written_us > 0 && bridge::steady_us() - written_us < bridge::kOwnChangesUs;
  if (home_ready && (changed || copy_s(home.path, bytes) < kFarHomeS)) return m.home;
  std::vector<Source> holders = other_holders(m);
  if (!home_ready) return holders.empty() ? kNoNode : holders.front().node;
  double setup_s = home.path.setup_s;
  for (auto &[node, path] : paths_)
    if (path.setup_s > 0) setup_s = std::min(setup_s, path.setup_s);
  return nearest_source(home, holders, bytes, setup_s);
}

/// A client that cannot be brought by a copy is dealt with here; true: it can.
bool Holder::is_to_copy(const Missing &m) {
  if (m.home == kNoNode) {
    if (m.requested && leaving_) fail(m, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, leaving_error(m.client));
    if (m.requested && !leaving_) birth(m);
    return false;
  }
  if (m.home == bridge::self_node()) {
    bring_back(m);
    return false;
  }
  if (leaving_ && !m.resident) {
    if (m.requested) fail(m, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, leaving_error(m.client));
    return false;
  }
  return true;
}

/// In the order of their value, so that what is worth most gets the room and the first jobs.
void Holder::bring(const std::vector<Missing> &missing) {
  more_missing_ = false;
  replaced_ = 0;
  queue_ = 0;
  if (missing.empty()) return;
  paths_ = measured_paths();
  size_t planned = 0, bytes_planned = 0;
  FabricRoom fabric = fabric_room();
  std::vector<CopyItem> items;
  for (const Missing &m : missing) {
    if (!is_to_copy(m)) continue;
    int64 chosen_us = bridge::steady_us();
    NodeId source = choose_source(m);
    if (source == kNoNode) {
      if (m.requested) fail(m, ERRCODE_CONNECTION_FAILURE, no_source(m, peer_errors_[m.home]));
      continue;
    }
    CopyItem item{m.client, m.home, source, m.state, m.generation, m.version, m.requested, m.resident};
    item.unchanged_since_us = chosen_us;
    if (!m.resident) {
      size_t bytes = reserve_for(m);
      bool predicted = m.value < kPriceless;
      if (predicted && (fabric.copies <= 0 || fabric.bytes < static_cast<int64_t>(bytes))) {
        refuse(m, fabric.copies <= 0 ? "vectorshard.max_fabric_copies" : "vectorshard.max_fabric_bytes");
        continue;
      }
      if (room() <= planned || !fits(bytes_planned + bytes)) {
        // Nobody goes for a copy that has to wait for another job.
        auto port = ports_.find(source);
        if ((port != ports_.end() && port->second->busy()) || !make_room(m, planned, bytes_planned + bytes)) continue;
      }
      planned++;
      fabric.copies--;
      fabric.bytes -= static_cast<int64_t>(bytes);
      bytes_planned += bytes;
      if (bridge::guc::max_bytes_per_node > 0 || (predicted && bridge::guc::max_fabric_bytes > 0)) item.most_bytes = bytes;
      item.bytes = bytes;
    }
    items.push_back(std::move(item));
  }
  announce_and_start(std::move(items), fabric.transfers);
}

/// A client that the last copy missed a change of is not changed by sessions of this node until this one is here. False: one is just doing so.
bool Holder::keep_if_written(const std::string &client) {
  auto retry = retries_.find(client);
  if (retry == retries_.end() || !retry->second.written) return true;
  if (!bridge::try_keep_client(client)) {
    try_later(client, kSoonS);
    return false;
  }
  kept_.insert(client);
  return true;
}

/// One job a source; what does not fit, or would disturb the others because it failed before, waits for the next.
void Holder::announce_and_start(std::vector<CopyItem> items, int64_t fabric_transfers) {
  std::map<NodeId, std::vector<CopyItem>> jobs;
  std::vector<CopyItem> chosen;
  std::map<NodeId, size_t> counts;
  std::set<NodeId> alone;
  for (CopyItem &i : items) {
    auto &port = ports_[i.source];
    if (!port) port = std::make_unique<CopyPort>(i.source);
    size_t &count = counts[i.source];
    auto retry = retries_.find(i.client);
    bool failed_before = retry != retries_.end() && retry->second.failures > 0;
    size_t at_once = in_flight_.size() + chosen.size();
    // A transaction that waits is not held up by what others copy, but counts.
    bool enough = at_once >= static_cast<size_t>(bridge::guc::max_transfers) || (!i.requested && static_cast<int64_t>(at_once) >= fabric_transfers);
    if (enough || port->busy() || count >= kJobClients || alone.contains(i.source) || (failed_before && count > 0)) {
      more_missing_ = true;
      continue;
    }
    if (!keep_if_written(i.client)) continue;
    if (failed_before) alone.insert(i.source);
    count++;
    chosen.push_back(std::move(i));
  }
  queue_ = items.size() - chosen.size();
  if (chosen.empty()) return;
  commit_copying(chosen);
  for (CopyItem &i : chosen) {
    in_flight_.insert(i.client);
    if (!i.resident) reserved_[i.client] = i.bytes;
    jobs[i.source].push_back(std::move(i));
  }
  std::vector<CopyEnded> ended;
  for (auto &[source, job] : jobs) ports_[source]->start(std::move(job), ended);
  settle(ended);
}

/// Step 1 of a copy, for all copies of this round at once: our holder rows say `copying`, committed.
void Holder::commit_copying(std::vector<CopyItem> &items) {
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    for (CopyItem &i : items) {
      // Under way before (a retry, or a restart of this worker), or an unconfirmed copy that is made again.
      if (i.state == "copying" || i.state == "live") continue;
      Generation generation = apply::stamp();
      auto rows = spi.query_kept(
          "INSERT INTO vectorshard.holder (client, node, generation, state, _version) "
          "VALUES ($1, $2, $3, 'copying', $3) "
          "ON CONFLICT (client, node) DO UPDATE SET generation = excluded.generation, state = excluded.state "
          "RETURNING _version",
          {p_text(i.client), p_int4(bridge::self_node()), p_int8(generation)});
      i.state = "copying";
      i.generation = generation;
      i.version = rows.int8(0, 0);
    }
  }
  tx.commit();
}

void Holder::bring_back(const Missing &m) {
  try {
    bridge::WorkerTransaction tx;
    bool back = tier::bring_back(m.client);
    tx.commit();
    if (back) {
      retries_.erase(m.client);
      if (requested_.erase(m.client)) finish(RequestKind::copy, m.client);
      return;
    }
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    return fail(m, e.sqlstate, Error{Errc::io, e.message, e.detail, e.hint});
  }
  if (m.requested || !m.resident)
    fail(m, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
         Error{Errc::not_found, "this node is the home of client \"" + m.client + "\" but holds nothing of it",
               "It is neither resident nor in a store.", "Restore the node, or look at vectorshard.tier_moves."});
}

/// A client that this node does not know. A core node makes it; an edge asks the cores, the nearest first.
void Holder::birth(const Missing &m) {
  std::string kind;
  bool made = false;
  {
    bridge::WorkerTransaction tx;
    kind = own_kind();
    if (kind == "core") made = make_client_here(m.client);
    tx.commit();
  }
  if (kind == "core") {
    if (!made) return try_later(m.client, 0.02);
    requested_.erase(m.client);
    return finish(RequestKind::copy, m.client);
  }
  std::vector<NodeId> cores = core_nodes(m.client);
  for (NodeId core : cores)
    if (birth_at(core, m)) return;
  birth_alone(m, cores);
}

/// True if the node answered, whatever it answered.
bool Holder::birth_at(NodeId core, const Missing &m) {
  Error why;
  bridge::Link *to = link(core, why);
  if (!to) return false;
  auto r = to->query(kBirthQuery, {{m.client}}, false, kBirthMs);
  if (!r.ok()) {
    if (!to->alive()) {
      back_off_.failed(core, now_s());
      peer_errors_[core] = r.error();
      return false;
    }
    const std::string &state = to->sqlstate();
    if (state == "55P03" || state == "40001") {
      try_later(m.client, 0.05);
      return true;
    }
    fail(m, state.size() == 5 ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4]) : ERRCODE_IO_ERROR,
         r.error());
    return true;
  }
  const PGresult *answer = r.value().get();
  ClientRow row{static_cast<NodeId>(int8_of(answer, 0)), int8_of(answer, 1), int8_of(answer, 2)};
  bool born = PQgetvalue(answer, 0, 3)[0] == 't';
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    {
      bridge::LearnedWrites learned;
      insert_client(spi, m.client, row);
    }
    if (born) insert_residency(spi, m.client, true);
  }
  tx.commit();
  if (born) {
    requested_.erase(m.client);
    finish(RequestKind::copy, m.client);
  } else {
    more_missing_ = true;  // known now: copied in the next round
  }
  return true;
}

/// No core node answers. Epoch 0: a client of that name that exists elsewhere keeps its home.
void Holder::birth_alone(const Missing &m, const std::vector<NodeId> &cores) {
  if (!requested_[m.client].birth_without_core || cores.empty()) {
    std::string detail = cores.empty() ? "There is no core node in the fabric." : "";
    for (NodeId core : cores)
      detail += (detail.empty() ? "" : " ") + std::string("Node ") + std::to_string(core) + ": " +
                peer_errors_[core].message + ". " + peer_errors_[core].detail;
    return fail(m, ERRCODE_CONNECTION_FAILURE,
                Error{Errc::unreachable, "client \"" + m.client + "\" is not known here and no core node answers", detail,
                      "Retry when a core node answers, or set vectorshard.birth_without_core = on if the client is "
                      "certainly new."});
  }
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    insert_client(spi, m.client, ClientRow{*std::min_element(cores.begin(), cores.end()), 0, apply::stamp()});
    insert_residency(spi, m.client, false);
  }
  tx.commit();
  requested_.erase(m.client);
  finish(RequestKind::copy, m.client);
}

}  // namespace vectorshard::place
