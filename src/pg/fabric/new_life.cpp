// Asking the fabric for a new incarnation, and beginning it. The registrar gives it; for itself it asks any other node.
// Whoever is asked looks who answers under the node's address: only that server gets it, so of two copies one stays in
// doubt. Nothing this server had is thrown away: it owes all of it to its peers, and they owe it everything in turn.
#include "pg/fabric/new_life.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/fabric/boot.hpp"
extern "C" {
#include "access/xlog.h"
}

namespace vectorshard::fabric {

namespace {

constexpr int kAskMs = 6000;  // it connects back to us
constexpr long kFirstWaitMs = 500, kMostWaitMs = 15000, kExamineMs = 50;
constexpr const char *kGrant = "SELECT n::text FROM vectorshard.grant_life($1::int, $2::uuid, $3::bigint) n";
constexpr const char *kTakeNode = R"(
  INSERT INTO vectorshard.node AS n SELECT ($1::vectorshard.node).*
  ON CONFLICT (node) DO UPDATE SET name = excluded.name, kind = excluded.kind, incarnation = excluded.incarnation,
         state = excluded.state, registrar = excluded.registrar, host = excluded.host, port = excluded.port,
         dbname = excluded.dbname, location = excluded.location, coverage = excluded.coverage, _version = excluded._version
   WHERE n._version < excluded._version)";

bool beginning = false;

struct Beginning {
  Beginning() { beginning = true; }
  ~Beginning() { beginning = false; }
};

/// Whom to ask, in order: the registrar; if that is this node, everybody else.
std::vector<NodeId> grantors(bool *registrar) {
  std::vector<NodeId> out;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query("SELECT node, registrar FROM vectorshard.node WHERE state <> 'removed' ORDER BY kind, node");
    NodeId giver = kNoNode;
    for (size_t i = 0; i < rows.size(); i++) {
      auto node = static_cast<NodeId>(rows.int8(i, 0));
      if (rows.boolean(i, 1)) giver = node;
      if (node != bridge::self_node()) out.push_back(node);
    }
    *registrar = giver == bridge::self_node();
    if (!*registrar) out = {giver};
  }
  tx.commit();
  return out;
}

Result<std::vector<std::string>> ask(NodeId node, const std::string &uuid) {
  std::unique_ptr<bridge::Link> link;
  {
    bridge::WorkerTransaction tx;
    auto made = bridge::Link::connect(node, "vectorshard link");
    tx.commit();
    if (!made.ok()) return made.error();
    link = std::move(made).value();
  }
  std::string token = std::to_string(pg_atomic_read_u64(&bridge::shared()->start_token));
  auto answer = link->query(kGrant, {{std::to_string(bridge::self_node())}, {uuid}, {token}}, false, kAskMs);
  if (!answer.ok()) {
    // 55006: another server answers under our address.
    if (link->sqlstate() == "55006")
      pg_atomic_write_u32(&bridge::shared()->doubt, static_cast<uint32_t>(Doubt::clone));
    return answer.error();
  }
  std::vector<std::string> rows;
  for (int i = 0; i < PQntuples(answer.value().get()); i++) rows.emplace_back(PQgetvalue(answer.value().get(), i, 0));
  return rows;
}

/// All of it in one transaction with the boot record: after a crash before its commit the doubt stands, and we ask again.
void begin(BootRecord record, const std::vector<std::string> &nodes, bool registrar) {
  bridge::WorkerTransaction tx;
  Beginning may_stamp;
  {
    bridge::LearnedWrites learned;
    bridge::Spi spi;
    for (const std::string &row : nodes) spi.query(kTakeNode, {bridge::p_text(row)});
  }
  {
    bridge::Spi spi;
    auto self = bridge::p_int4(bridge::self_node());
    if (registrar) spi.query("UPDATE vectorshard.node SET incarnation = vectorshard.next_version() WHERE node = $1", {self});
    record.incarnation = spi.query("SELECT incarnation FROM vectorshard.node WHERE node = $1", {self}).int8(0, 0);
    apply::observe(record.incarnation);
    spi.query("SELECT vectorshard.begin_new_life()");
  }
  record.doubt = Doubt::none;
  bridge::value_or_raise(take_facts(record));
  record.starts = {new_start(GetFlushRecPtr(nullptr))};
  adopt_at_commit(record);
  tx.commit();
  ereport(LOG, (errmsg("vectorshard: node %d begins incarnation %lld", bridge::self_node(),
                       static_cast<long long>(record.incarnation))));
}

}  // namespace

bool begins_new_life() noexcept { return beginning; }

long settle_doubt() {
  static long wait_ms = 0;
  static std::string last_error;
  if (doubt() == Doubt::unexamined) return kExamineMs;
  auto record = bridge::value_or_raise(read_boot_record());
  if (!record) return kMostWaitMs;
  bool registrar = false;
  std::vector<NodeId> nodes = grantors(&registrar);
  Error why{Errc::not_found, "no node to ask for a new incarnation", "", ""};
  for (NodeId node : nodes) {
    auto rows = ask(node, record->uuid);
    if (rows.ok()) {
      begin(*record, rows.value(), registrar);
      return 0;
    }
    why = rows.error();
    if (doubt() == Doubt::clone) break;
  }
  if (registrar && nodes.empty()) {  // nobody has heard of this fabric's only node
    begin(*record, {}, true);
    return 0;
  }
  if (why.message != last_error)
    ereport(LOG, (errmsg("vectorshard: no new incarnation: %s", why.message.c_str()),
                  why.detail.empty() ? 0 : errdetail("%s", why.detail.c_str())));
  last_error = why.message;
  wait_ms = std::clamp(wait_ms * 2, kFirstWaitMs, kMostWaitMs);
  return wait_ms;
}

}  // namespace vectorshard::fabric
