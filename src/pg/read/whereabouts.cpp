// Where clients are: see whereabouts.hpp. The tables of the fabric are read with the extension's rights.
#include "pg/read/whereabouts.hpp"

#include <algorithm>
#include <set>

#include "core/read/statements.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/api.hpp"
#include "pg/read/session.hpp"
#include "pg/ship/api.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::read {

namespace {

// More names than this are looked up here, row by row, instead of being sent.
constexpr int kMaxNamesSent = 10000;

using bridge::p_int4;

}  // namespace

bridge::Rows read_fabric(const std::string &sql, const std::vector<bridge::Param> &params, Snapshot snapshot) {
  bridge::pg_call([&] { PushActiveSnapshot(snapshot); });
  bridge::Rows rows;
  {
    bridge::Spi spi;
    bridge::AsSuperuser rights;
    rows = spi.query_kept(sql, params, true);
  }
  bridge::pg_call([] { PopActiveSnapshot(); });
  return rows;
}

Snapshot latest() {
  return bridge::pg_call([] {
    if (!IsInParallelMode()) return GetLatestSnapshot();
    InvalidateCatalogSnapshot();  // a parallel query may take no other fresh one
    return GetCatalogSnapshot(InvalidOid);
  });
}

namespace {

/// f(snapshot) under latest(). While an error unwinds, the transaction's end gives the snapshot back.
template <class F>
auto under_latest(F &&f) {
  Snapshot fresh = latest();
  Snapshot snapshot = bridge::pg_call([&] { return RegisterSnapshot(fresh); });
  auto out = f(snapshot);
  bridge::pg_call([&] { UnregisterSnapshot(snapshot); });
  return out;
}

/// The core nodes, nearest first; none if this node is one itself, and so knows every client it can hear of.
std::vector<NodeId> cores_to_ask() {
  auto r = read_fabric("SELECT c.node FROM vectorshard.core_nodes_by_distance($1) c LIMIT CASE WHEN EXISTS (SELECT FROM "
                       "vectorshard.node n WHERE n.node = $1 AND n.kind = 'core') THEN 0 END",
                       {p_int4(bridge::self_node())}, latest());
  std::vector<NodeId> out;
  for (size_t i = 0; i < r.size(); i++) out.push_back(static_cast<NodeId>(r.int8(i, 0)));
  std::stable_partition(out.begin(), out.end(), [](NodeId core) { return !ship::known_dead(core); });
  return out;
}

std::map<std::string, NodeId> homes_by_core(const std::vector<std::string> &clients, bool all_wanted) {
  std::map<std::string, NodeId> out;
  std::optional<std::pair<NodeId, Error>> lost;
  for (NodeId core : cores_to_ask()) {
    Session &session = session_at(core);
    auto sent = session.send("SELECT client, home FROM vectorshard.client WHERE client = ANY (" +
                                 quote_value(array_text(clients)) + ")",
                             nullptr);
    auto reply = sent.ok() ? session.receive() : Result<bridge::PgResult>(sent.error());
    if (!reply.ok()) {
      if (!lost) lost.emplace(core, reply.error());
      continue;
    }
    const PGresult *r = reply.value().get();
    for (int i = 0; i < PQntuples(r); i++) out[PQgetvalue(r, i, 0)] = static_cast<NodeId>(atoi(PQgetvalue(r, i, 1)));
    return out;
  }
  if (lost) report_unreachable(lost->first, lost->second, all_wanted, clients.size());
  return out;
}

/// Clients with that home that are not resident here.
size_t clients_at_home(NodeId home) {
  auto r = read_fabric("SELECT count(*) FROM vectorshard.client c WHERE c.home = $1 AND NOT EXISTS (SELECT FROM "
                       "vectorshard.resident r WHERE r.client = c.client)",
                       {p_int4(home)}, latest());
  return static_cast<size_t>(r.int8(0, 0));
}

[[noreturn]] void raise_not_home(const std::string &client, NodeId home) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "this node is not the home of client \"" + client + "\"",
                         "Its home is node number " + std::to_string(home) + ".",
                         "Retry the transaction: the home has moved.");
}

/// This node became the home after the snapshot was taken, in which another one has the rows. Born here since, it had none.
bool came_since(const std::string &client, Snapshot snapshot) {
  NodeId before = place::home_under(snapshot, client);
  if (before != kNoNode) return before != bridge::self_node();
  auto r = read_fabric("SELECT epoch > 1 FROM vectorshard.client WHERE client = $1", {bridge::p_text(client)}, latest());
  return !r.empty() && r.boolean(0, 0);
}

}  // namespace

void raise_moved_here(const std::string &client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the home of client \"" + client + "\" moved here while the transaction ran", "",
                         "Retry the transaction.");
}

std::map<std::string, NodeId> known_homes(const std::vector<std::string> &clients) {
  std::map<std::string, NodeId> out;
  auto homes = under_latest([&](Snapshot s) { return place::homes_under(s, clients); });
  for (size_t i = 0; i < clients.size(); i++)
    if (homes[i] != kNoNode) out[clients[i]] = homes[i];
  return out;
}

std::map<std::string, std::vector<NodeId>> live_holders(const std::vector<std::string> &clients) {
  auto copies = under_latest([&](Snapshot s) { return place::live_copies(s, clients); });
  std::map<std::string, std::vector<NodeId>> out;
  if (copies.empty()) return out;
  auto nodes = read_fabric("SELECT node FROM vectorshard.node WHERE state = 'active' AND node <> $1", {p_int4(bridge::self_node())}, latest());
  std::set<NodeId> active;
  for (size_t i = 0; i < nodes.size(); i++) active.insert(static_cast<NodeId>(nodes.int8(i, 0)));
  for (auto [i, node] : copies)
    if (active.contains(node)) out[clients[i]].push_back(node);
  return out;
}

Whereabouts find_clients(const std::vector<std::string> &clients, Snapshot snapshot, bool all_wanted) {
  Whereabouts out;
  std::vector<std::string> rest;
  auto cold = tier::cold_under(snapshot, clients);
  for (size_t i = 0; i < clients.size(); i++) (cold[i] ? out.cold : rest).push_back(clients[i]);
  if (rest.empty()) return out;
  auto homes = known_homes(rest);
  bool for_peer = bridge::guc::read_scope == bridge::guc::kReadHome;
  if (for_peer) fabric::require_certain();
  if (!for_peer) {
    std::vector<std::string> unknown;
    for (const auto &c : rest)
      if (!homes.count(c)) unknown.push_back(c);
    if (!unknown.empty()) homes.merge(homes_by_core(unknown, all_wanted));
  }
  for (const auto &[client, home] : homes) {
    if (home == bridge::self_node()) {
      if (came_since(client, snapshot)) raise_moved_here(client);
      continue;  // its home holds no row of it
    }
    if (for_peer) raise_not_home(client, home);
    out.homes[home].push_back(client);
  }
  return out;
}

std::vector<HomeNode> other_homes() {
  auto r = read_fabric("SELECT n.node, n.name FROM vectorshard.node n WHERE n.state <> 'removed' AND n.node <> $1 AND "
                       "(n.kind = 'core' OR n.node IN (SELECT home FROM vectorshard.client)) ORDER BY n.node",
                       {p_int4(bridge::self_node())}, latest());
  std::vector<HomeNode> out;
  for (size_t i = 0; i < r.size(); i++) out.push_back({static_cast<NodeId>(r.int8(i, 0)), r.at(i, 1)});
  return out;
}

std::map<NodeId, std::vector<std::string>> residents_by_home(Snapshot snapshot) {
  auto r = read_fabric("SELECT r.client, c.home FROM vectorshard.resident r JOIN vectorshard.client c USING (client) "
                       "WHERE c.home <> $1 LIMIT $2",
                       {p_int4(bridge::self_node()), p_int4(kMaxNamesSent + 1)}, snapshot);
  std::map<NodeId, std::vector<std::string>> out;
  if (r.size() > kMaxNamesSent) return out;
  for (size_t i = 0; i < r.size(); i++) out[static_cast<NodeId>(r.int8(i, 1))].push_back(r.at(i, 0));
  return out;
}

void report_unreachable(NodeId node, const Error &error, bool all_wanted, std::optional<size_t> clients) {
  static LocalTransactionId transaction = InvalidLocalTransactionId;
  static std::set<NodeId> warned;
  const Session &session = session_at(node);
  if (all_wanted || bridge::guc::on_unreachable == bridge::guc::kUnreachableError || error.code == Errc::denied || error.code == Errc::no_right)
    raise_unreachable(session, error);
  if (transaction != MyProc->lxid) warned.clear();
  transaction = MyProc->lxid;
  if (!warned.insert(node).second) return;
  const char *name = session.name().c_str(), *message = error.message.c_str(), *detail = error.detail.c_str();
  unsigned long count = clients ? *clients : clients_at_home(node);
  bridge::pg_call([&] {
    ereport(WARNING, (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("node \"%s\" cannot be reached: its rows are left out", name),
                      errdetail_plural("%lu client is not covered. %s%s%s", "%lu clients are not covered. %s%s%s", count, count,
                                       message, *detail ? ": " : "", detail)));
  });
}

}  // namespace vectorshard::read
