// Where clients are: see whereabouts.hpp. The tables of the fabric are read with the extension's rights.
#include "pg/read/whereabouts.hpp"

#include <set>

#include "core/read/statements.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/api.hpp"
#include "pg/read/session.hpp"
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
using bridge::p_text_array;

/// One read-only query under `snapshot`, with the extension's rights.
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

/// The nearest core node; none if this node is one itself, and so knows every client it can hear of.
NodeId core_to_ask() {
  auto r = read_fabric("SELECT c.node FROM vectorshard.core_nodes_by_distance($1) c LIMIT CASE WHEN EXISTS (SELECT FROM "
                       "vectorshard.node n WHERE n.node = $1 AND n.kind = 'core') THEN 0 ELSE 1 END",
                       {p_int4(bridge::self_node())}, latest());
  return r.empty() ? kNoNode : static_cast<NodeId>(r.int8(0, 0));
}

std::map<std::string, NodeId> homes_by_core(const std::vector<std::string> &clients, bool all_wanted) {
  std::map<std::string, NodeId> out;
  NodeId core = core_to_ask();
  if (core == kNoNode) return out;
  Session &session = session_at(core);
  auto sent = session.send("SELECT client, home FROM vectorshard.client WHERE client = ANY (" +
                               quote_value(array_text(clients)) + ")",
                           nullptr);
  auto reply = sent.ok() ? session.receive() : Result<bridge::PgResult>(sent.error());
  if (!reply.ok()) {
    report_unreachable(core, reply.error(), all_wanted);
    return out;
  }
  const PGresult *r = reply.value().get();
  for (int i = 0; i < PQntuples(r); i++) out[PQgetvalue(r, i, 0)] = static_cast<NodeId>(atoi(PQgetvalue(r, i, 1)));
  return out;
}

[[noreturn]] void raise_not_home(const std::string &client, NodeId home) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "this node is not the home of client \"" + client + "\"",
                         "Its home is node number " + std::to_string(home) + ".",
                         "Retry the transaction: the home has moved.");
}

}  // namespace

std::map<std::string, NodeId> known_homes(const std::vector<std::string> &clients) {
  std::map<std::string, NodeId> out;
  auto r = read_fabric("SELECT client, home FROM vectorshard.client WHERE client = ANY ($1)", {p_text_array(clients)}, latest());
  for (size_t i = 0; i < r.size(); i++) out[r.at(i, 0)] = static_cast<NodeId>(r.int8(i, 1));
  return out;
}

Whereabouts find_clients(const std::vector<std::string> &clients, Snapshot snapshot, bool all_wanted) {
  Whereabouts out;
  std::vector<std::string> rest;
  for (const auto &c : clients) (tier::cold_under(snapshot, c) ? out.cold : rest).push_back(c);
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
    if (home == bridge::self_node()) continue;  // its home holds no row of it
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

void report_unreachable(NodeId node, const Error &error, bool all_wanted) {
  static LocalTransactionId transaction = InvalidLocalTransactionId;
  static std::set<NodeId> warned;
  const Session &session = session_at(node);
  if (all_wanted || bridge::guc::on_unreachable == bridge::guc::kUnreachableError || error.code == Errc::denied)
    raise_unreachable(session, error);
  if (transaction != MyProc->lxid) warned.clear();
  transaction = MyProc->lxid;
  if (!warned.insert(node).second) return;
  const char *name = session.name().c_str(), *message = error.message.c_str(), *detail = error.detail.c_str();
  bridge::pg_call([&] {
    ereport(WARNING, (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("node \"%s\" cannot be reached: its rows are left out", name),
                      errdetail("%s%s%s", message, *detail ? ": " : "", detail)));
  });
}

}  // namespace vectorshard::read
