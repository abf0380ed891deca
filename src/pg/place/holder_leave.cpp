// Nodes that leave. A node whose own row says `leaving` gives its homes to other core nodes, lets all copies go, waits until
// everything it wrote is delivered, and then has the registrar remove it. The registrar gives the clients of a node that
// was removed by force to whoever holds them. All of it stands in tables: a crash of either side is carried on.
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/wal.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/holder.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "miscadmin.h"
#include "utils/builtins.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;

constexpr double kLookS = 0.5, kOrphansS = 2;
constexpr double kShipS = 3;  // for how long writers of reference tables may be held up
constexpr int kOrphans = 200, kMovesAtOnce = 256, kDebtsAtOnce = 200;

// To the nearest active core node where the client may be; they can be moved on. If it may be nowhere, that policy holds it up.
constexpr char kPlan[] = R"(
  INSERT INTO vectorshard.home_move (client, to_node)
  SELECT c.client, t.node FROM vectorshard.client c
   CROSS JOIN LATERAL (SELECT d.node FROM vectorshard.core_nodes_by_distance($1) WITH ORDINALITY AS d (node, i)
                        ORDER BY EXISTS (SELECT FROM vectorshard.bans_of(ARRAY[c.client], d.node)), d.i LIMIT 1) t
   WHERE c.home = $1 AND NOT EXISTS (SELECT FROM vectorshard.home_move m WHERE m.client = c.client)
   LIMIT greatest(0, $2 - (SELECT count(*) FROM vectorshard.home_move))
  ON CONFLICT DO NOTHING)";
constexpr char kLeft[] = R"(
  SELECT EXISTS (SELECT FROM vectorshard.client WHERE home = $1) OR EXISTS (SELECT FROM vectorshard.resident)
      OR EXISTS (SELECT FROM vectorshard.peer_debt WHERE client <> ''),
         (SELECT uuid FROM vectorshard.node WHERE node = $1),
         coalesce((SELECT node FROM vectorshard.node WHERE registrar AND state <> 'removed'), 0))";
// Of clients that have left; the shipper does it only for peers that answer.
constexpr char kDebts[] = R"(
  SELECT d.peer, d.client, c.home FROM vectorshard.peer_debt d JOIN vectorshard.client c ON c.client = d.client AND c.home <> $1
   WHERE NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = d.client) LIMIT $2)";
constexpr char kPaid[] = "DELETE FROM vectorshard.peer_debt WHERE peer = $1 AND client = $2";
// Everything that a user may still write here and that every node is told.
constexpr char kToLock[] = R"(
  SELECT string_agg(t, ', ') FROM (SELECT table_name FROM vectorshard.shard_table WHERE kind = 'reference' AND state = 'enrolled'
           AND vectorshard.is_attached(to_regclass(table_name))
    UNION ALL SELECT 'vectorshard.' || t FROM unnest('{policy,segment,shard_table,store,wish}'::text[]) t ORDER BY 1) AS x(t))";
// Who was asked and may have taken it; else core nodes first, the latest copy of several. After the epoch that a removed one may have taken.
constexpr char kOrphaned[] = R"(
  SELECT c.client, c.home, greatest(c.epoch, coalesce(a.epoch, 0) + (a.state IS NOT DISTINCT FROM 'removed')::int),
         CASE WHEN a.state <> 'removed' THEN a.node ELSE coalesce(h.node, 0) END
    FROM vectorshard.client c JOIN vectorshard.node n ON n.node = c.home AND n.state = 'removed'
    LEFT JOIN (SELECT a.client, a.epoch, p.node, p.state FROM vectorshard.home_asked a LEFT JOIN vectorshard.node p USING (node)) a
      ON a.client = c.client AND a.epoch >= c.epoch
    LEFT JOIN LATERAL (SELECT h.node FROM vectorshard.holder h
                         JOIN vectorshard.node p ON p.node = h.node AND p.state = 'active'
                        WHERE h.client = c.client AND h.state = 'live'
                        ORDER BY p.kind, h.node = $1 DESC, h.generation DESC LIMIT 1) h ON true
   LIMIT $2)";

constexpr char kAsked[] = R"(
  INSERT INTO vectorshard.home_asked (client, node, epoch) VALUES ($1, $2, $3)
  ON CONFLICT (client) DO UPDATE SET node = excluded.node, epoch = excluded.epoch)";
// The epoch stays: one that was removed may have taken the one before.
constexpr char kRefused[] = "UPDATE vectorshard.home_asked SET node = NULL WHERE client = $1";
constexpr char kTaken[] = R"(
  DELETE FROM vectorshard.home_asked a WHERE NOT EXISTS (SELECT FROM vectorshard.client c
    JOIN vectorshard.node n ON n.node = c.home AND n.state = 'removed' WHERE c.client = a.client))";

std::string take_home_sql(const std::string &client, const std::string &from, const std::string &epoch, bool alone) {
  char *literal = bridge::pg_call([&] { return quote_literal_cstr(client.c_str()); });
  return "SELECT vectorshard.take_home(" + std::string(literal) + ", " + from + ", " + epoch + ", " + (alone ? "true" : "false") + ")";
}

/// Durable when it returns, whatever the server's settings are.
void run(const std::string &sql, const std::vector<bridge::Param> &params) {
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    spi.query("SELECT set_config('synchronous_commit', 'on', true)");
    spi.query(sql, params);
  }
  tx.commit();
}

void take_home_here(const std::string &sql) {
  try {
    run(sql, {});
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard holder: no new home: %s", e.message.c_str())));
  }
}

}  // namespace

/// Hands what this node still owes of clients that have left to their homes.
void Holder::hand_debts_over() {
  bridge::Rows rows;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      rows = spi.query_kept(kDebts, {p_int4(bridge::self_node()), p_int4(kDebtsAtOnce)});
    }
    tx.commit();
  }
  for (size_t i = 0; i < rows.size(); i++) {
    Error why;
    bridge::Link *home = link(static_cast<NodeId>(rows.int8(i, 2)), why);
    if (!home) continue;
    bool taken = rows.at(i, 0) == rows.at(i, 2) ||
                 home->query("SELECT vectorshard.take_over_debt($1, $2::int)", {{rows.at(i, 1)}, {rows.at(i, 0)}}).ok();
    if (taken) run(kPaid, {p_int4(static_cast<int>(rows.int8(i, 0))), bridge::p_text(rows.at(i, 1))});
  }
}

/// Nothing is left here: with all tables locked that could still be written, once everything is shipped, the registrar
/// removes this node, and this transaction makes the database one that is in no fabric. Whoever waited for the locks
/// finds it so.
void Holder::resign(NodeId registrar, const std::string &uuid) {
  Error why;
  bridge::Link *to = link(registrar, why);
  if (!to) return;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    spi.query("LOCK TABLE " + spi.query(kToLock).at(0, 0) + " IN SHARE MODE");
  }
  uint64_t written = bridge::pg_call([] { return static_cast<uint64_t>(bridge::flush_wal()); });  // only what is flushed is shipped
  double until_s = now_s() + kShipS;
  while (pg_atomic_read_u64(&bridge::shared()->confirmed_lsn) < written) {
    if (now_s() > until_s) return;
    ship::want_confirmed();
    bridge::pg_call([] {
      CHECK_FOR_INTERRUPTS();
      pg_usleep(5000);
    });
  }
  auto r = to->query("SELECT vectorshard.node_left($1::int, $2::uuid)", {{std::to_string(bridge::self_node())}, {uuid}});
  if (!r.ok() || PQgetvalue(r.value().get(), 0, 0)[0] != 't') return;
  fabric::resign_at_commit();
  tx.commit();
  ereport(LOG, (errmsg("vectorshard: this node has left the fabric")));
}

/// One look at a node that is leaving: plans what is left, or has it removed.
void Holder::leave_fabric() {
  if (!leaving_ || now_s() < next_leave_s_) return;
  next_leave_s_ = now_s() + kLookS;
  bool left = true;
  std::string uuid;
  NodeId registrar = kNoNode;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      spi.execute(kPlan, {p_int4(bridge::self_node()), p_int4(kMovesAtOnce)});
      auto rows = spi.query_kept(kLeft, {p_int4(bridge::self_node())});
      left = rows.boolean(0, 0);
      uuid = rows.at(0, 1);
      registrar = static_cast<NodeId>(rows.int8(0, 2));
    }
    tx.commit();
  }
  if (left)
    hand_debts_over();
  else
    resign(registrar, uuid);
}

/// At the registrar: clients whose home was removed get a new one. Nothing else ever takes a home away.
void Holder::adopt_orphans() {
  if (!orphans_ || now_s() < next_orphans_s_) return;
  next_orphans_s_ = now_s() + kOrphansS;
  NodeId self = bridge::self_node();
  bridge::Rows rows;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto me = spi.query_kept("SELECT registrar FROM vectorshard.node WHERE node = $1", {p_int4(self)});
      if (!me.empty() && me.boolean(0, 0)) rows = spi.query_kept(kOrphaned, {p_int4(self), p_int4(kOrphans)});
    }
    tx.commit();
  }
  if (rows.empty()) run(kTaken, {});
  if (rows.empty()) orphans_ = false;
  for (size_t i = 0; i < rows.size() && !copies_wanted(); i++) {
    auto holder = static_cast<NodeId>(rows.int8(i, 3));
    std::string sql = take_home_sql(rows.at(i, 0), rows.at(i, 1), rows.at(i, 2), holder == kNoNode);
    if (holder == kNoNode || holder == self) {
      take_home_here(sql);
      continue;
    }
    Error why;
    bridge::Link *to = link(holder, why);
    if (!to) continue;
    run(kAsked, {bridge::p_text(rows.at(i, 0)), p_int4(holder), bridge::p_int8(rows.int8(i, 2))});
    if (!to->query(sql).ok() && to->alive()) run(kRefused, {bridge::p_text(rows.at(i, 0))});
  }
}

}  // namespace vectorshard::place
