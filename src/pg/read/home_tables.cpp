// Reading tables of consistency home: see home_tables.hpp. Plain C where the planner is called: its errors pass through as they are.
#include "pg/read/home_tables.hpp"

#include <unordered_map>

#include "core/read/statements.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/fabric/api.hpp"
#include "pg/place/api.hpp"
#include "pg/read/row_text.hpp"
#include "pg/read/session.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/plancat.h"
#include "optimizer/prep.h"
#include "parser/parse_func.h"
#include "storage/proc.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace vectorshard::read {

namespace {

constexpr long kPollMs = 2;

get_relation_info_hook_type previous_info = nullptr;

/// `vectorshard.is_home_of(client, locks)` on the heap of a home table.
Expr *condition(Index varno, Oid relid, AttrNumber client, bool locks) {
  Oid types[] = {ANYOID, BOOLOID};
  Oid function = LookupFuncName(list_make2(makeString(pstrdup("vectorshard")), makeString(pstrdup("is_home_of"))), 2, types, false);
  Oid type, collation;
  int32 typmod;
  get_atttypetypmodcoll(relid, client, &type, &typmod, &collation);
  Var *var = makeVar(static_cast<int>(varno), client, type, typmod, collation, 0);
  return reinterpret_cast<Expr *>(makeFuncExpr(function, BOOLOID, list_make2(var, makeBoolConst(locks, false)), InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL));
}

AttrNumber home_client(Oid relid) {
  return bridge::entry([&]() -> AttrNumber {
    const bridge::EnrolledTable *t = bridge::enrolled_table(relid);
    return t && t->home && OidIsValid(t->elsewhere) ? t->client_attnum : InvalidAttrNumber;
  });
}

/// The heap among the children of a table is the table itself. What is set here becomes a condition of its scans when the planner goes on; the
/// entry is the plan's own, so a table that is read with ONLY is not concerned.
void relation_info(PlannerInfo *root, Oid relid, bool inhparent, RelOptInfo *rel) {
  if (previous_info) previous_info(root, relid, inhparent, rel);
  if (inhparent || rel->reloptkind != RELOPT_OTHER_MEMBER_REL || !root->append_rel_array) return;
  const AppendRelInfo *above = root->append_rel_array[rel->relid];
  RangeTblEntry *entry = root->simple_rte_array[rel->relid];
  if (!above || above->parent_reloid != relid || entry->relkind != RELKIND_RELATION) return;
  AttrNumber client = home_client(relid);
  if (client == InvalidAttrNumber) return;
  const PlanRowMark *mark = get_plan_rowmark(root->rowMarks, above->parent_relid);
  bool locks = mark && mark->strength != LCS_NONE;
  entry->securityQuals = lappend(entry->securityQuals, list_make1(condition(rel->relid, relid, client, locks)));
  root->qual_security_level = Max(root->qual_security_level, static_cast<Index>(list_length(entry->securityQuals)));
}

/// What one execution of a scan has found under its snapshot.
struct Known {
  Oid type = InvalidOid;
  std::string last;
  bool last_answer = false, any = false;
  std::unordered_map<std::string, bool> clients;
};

constexpr size_t kMostKnown = 100000;

Known *known_of(FmgrInfo *function) {
  if (function->fn_extra) return static_cast<Known *>(function->fn_extra);
  auto *known = new Known;
  bridge::pg_call([&] {
    auto *callback = static_cast<MemoryContextCallback *>(MemoryContextAlloc(function->fn_mcxt, sizeof(MemoryContextCallback)));
    callback->func = [](void *k) { delete static_cast<Known *>(k); };
    callback->arg = known;
    MemoryContextRegisterResetCallback(function->fn_mcxt, callback);
    known->type = getBaseType(get_fn_expr_argtype(function, 0));
  });
  function->fn_extra = known;
  return known;
}

bool is_home_of(FunctionCallInfo fcinfo) {
  if (bridge::guc::read_scope == bridge::guc::kReadLocal || bridge::self_node() == kNoNode) return true;
  Known *known = known_of(fcinfo->flinfo);
  std::string client = text_of(known->type, PG_GETARG_DATUM(0));
  if (known->any && known->last == client) return known->last_answer;
  auto it = known->clients.find(client);
  if (it == known->clients.end()) {
    if (known->clients.size() >= kMostKnown) known->clients.clear();
    bool here = at_home(GetActiveSnapshot(), client);
    if (here && PG_GETARG_BOOL(1)) apply::require_home(client);  // or the lock would be for nothing: rows are written at the next home
    it = known->clients.emplace(client, here).first;
  }
  known->last = client;
  known->any = true;
  return known->last_answer = it->second;
}

[[noreturn]] void raise_moving(const std::string &client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the home of client \"" + client + "\" is just moving",
                         "The node that is to be the home has not answered yet.", "Retry the transaction.");
}

place::HomeHere home_here_now(const std::string &client) {
  if (!bridge::pg_call([] { return IsInParallelMode(); }))
    return bridge::with_fresh_snapshot([&](Snapshot s) { return place::home_here(s, client); });
  bridge::pg_call([] { InvalidateCatalogSnapshot(); });  // a parallel query may take no other fresh one
  return place::home_here(bridge::pg_call([] { return GetCatalogSnapshot(InvalidOid); }), client);
}

/// Of a client that this node has not heard of: it may have been born anywhere a moment ago, so all are asked.
NodeId home_by_others(const std::string &client) {
  for (const HomeNode &other : other_homes()) {
    bridge::PgResult r = session_at(other.node).run("SELECT home FROM vectorshard.client WHERE client = " + quote_value(client));
    if (PQntuples(r.get()) > 0) return static_cast<NodeId>(atoi(PQgetvalue(r.get(), 0, 0)));
  }
  return kNoNode;
}

/// Whom this transaction goes on asking.
struct Asked {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  std::unordered_map<std::string, NodeId> nodes;
};

std::unordered_map<std::string, NodeId> &asked() {
  static Asked a;
  if (a.transaction != MyProc->lxid) a.nodes.clear();
  a.transaction = MyProc->lxid;
  return a.nodes;
}

void pause() {
  bridge::pg_call([] {
    CHECK_FOR_INTERRUPTS();
    pg_usleep(kPollMs * 1000L);
  });
}

}  // namespace

void init_home_tables() {
  previous_info = get_relation_info_hook;
  get_relation_info_hook = relation_info;
}

bool is_home_table(Oid relid) {
  const bridge::EnrolledTable *t = bridge::enrolled_table(relid);
  return t && t->home;
}

NodeId home_of(const std::string &client) {
  if (auto it = asked().find(client); it != asked().end()) return it->second;
  TimestampTz until = TimestampTzPlusMilliseconds(bridge::steady_us(), bridge::guc::link_timeout_ms);
  for (;;) {
    place::HomeHere here = home_here_now(client);
    if (here == place::HomeHere::yes) fabric::require_certain();
    if (here == place::HomeHere::yes) return bridge::self_node();
    if (here == place::HomeHere::no) break;
    if (bridge::steady_us() >= until) raise_moving(client);
    pause();
  }
  auto homes = known_homes({client});
  NodeId home = homes.empty() ? home_by_others(client) : homes.begin()->second;
  if (home != bridge::self_node()) return home;
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the home of client \"" + client + "\" is not settled",
                         "It has just moved to this node, or no core node has confirmed its birth yet.", "Retry the transaction.");
}

void keep_asking(const std::string &client, NodeId node) { asked()[client] = node; }

void require_not_asked(const std::string &client) {
  if (asked().contains(client)) raise_moved_here(client);
}

bool at_home(Snapshot snapshot, const std::string &client) {
  if (place::home_here(snapshot, client) != place::HomeHere::yes) return false;
  fabric::require_certain();
  require_not_asked(client);
  return true;
}

NodeId birthplace(const std::string &client) {
  bridge::Spi spi;
  bridge::AsSuperuser rights;
  auto r = spi.query_kept("SELECT n.node FROM vectorshard.node n WHERE n.node = $1 AND n.kind = 'core' AND n.state = 'active' UNION ALL "
                          "SELECT d.node FROM vectorshard.core_nodes_by_distance($1) d WHERE NOT EXISTS (SELECT FROM vectorshard.bans_of(ARRAY[$2], d.node)) "
                          "LIMIT 1",
                          {bridge::p_int4(bridge::self_node()), bridge::p_text(client)});
  if (r.empty())
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "client \"" + client + "\" cannot be born",
                           "Policies allow it on no active core node.", "Look at vectorshard.policies.");
  return static_cast<NodeId>(r.int8(0, 0));
}

Whereabouts find_at_homes(const std::vector<std::string> &clients, Snapshot snapshot, bool locks) {
  Whereabouts out;
  for (const std::string &c : clients) {
    if (at_home(snapshot, c)) {
      if (tier::cold_under(snapshot, c)) out.cold.push_back(c);
      continue;
    }
    // One transaction above READ COMMITTED asks one home, whose snapshot it has taken: what moved since is told by an error there.
    NodeId home = bridge::pg_call([] { return IsolationUsesXactSnapshot(); }) ? place::home_under(snapshot, c) : kNoNode;
    if (home == kNoNode || home == bridge::self_node()) home = home_of(c);
    if (home == bridge::self_node())
      raise_moved_here(c);
    if (home == kNoNode) continue;
    if (locks) keep_asking(c, home);
    out.homes[home].push_back(c);
  }
  return out;
}

void require_settled_homes(Snapshot snapshot) {
  std::string moving = place::moving_home(snapshot);
  if (!moving.empty()) raise_moving(moving);
  for (const auto &[client, node] : asked()) {
    auto homes = known_homes({client});
    if (!homes.empty() && homes.begin()->second != node) raise_moving(client);
  }
}

}  // namespace vectorshard::read

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_is_home_of) {
  return bridge::entry([&]() -> Datum { return BoolGetDatum(read::is_home_of(fcinfo)); });
}

/// The condition keeps nearly every row that a scan meets, and costs next to nothing.
VECTORSHARD_FUNCTION(vectorshard_is_home_of_support) {
  Node *request = reinterpret_cast<Node *>(PG_GETARG_POINTER(0));
  if (!IsA(request, SupportRequestSelectivity)) PG_RETURN_POINTER(nullptr);
  reinterpret_cast<SupportRequestSelectivity *>(request)->selectivity = 1;
  PG_RETURN_POINTER(request);
}
