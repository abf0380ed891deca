// Rights of peers: see peer_rights.hpp.
#include "pg/read/peer_rights.hpp"

#include <vector>

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace vectorshard::read {

namespace {

// No right of PostgreSQL's, so no SQL makes it. It marks the target of a change that was found plain, and goes along into
// plans that are kept. Superusers, as whom the table is looked at, have every right, this one too.
constexpr AclMode kAsOwner = 1U << 15;
static_assert(N_ACL_RIGHTS <= 15);

/// PostgreSQL 15 declares walkers without a prototype; void (*)() is the cast that compilers accept silently.
using Walker = bool (*)();
Walker as_walker(bool (*walker)(Node *, void *)) { return reinterpret_cast<Walker>(reinterpret_cast<void (*)()>(walker)); }

ExecutorStart_hook_type previous_start = nullptr;

bool is_peer() {
  return bridge::pg_call([] {
    if (superuser()) return false;
    Oid peers = get_role_oid("vectorshard_peer", true);
    return OidIsValid(peers) && has_privs_of_role(GetUserId(), peers);
  });
}

/// Immutable and written in C: it calls nothing that a user wrote, and does nothing but compute.
bool may_run_code(Oid function, void *) {
  HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
  if (!HeapTupleIsValid(tuple)) return true;
  auto *proc = reinterpret_cast<Form_pg_proc>(GETSTRUCT(tuple));
  bool safe = proc->provolatile == PROVOLATILE_IMMUTABLE && !proc->prosecdef &&
              (proc->prolang == INTERNALlanguageId || proc->prolang == ClanguageId);
  ReleaseSysCache(tuple);
  return !safe;
}

/// Whether `type` is that of a column: its checks are the owner's doing.
bool is_column_type(Oid relid, Oid type) {
  HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(tuple)) return false;
  int columns = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relnatts;
  ReleaseSysCache(tuple);
  for (int a = 1; a <= columns; a++)
    if (get_atttype(relid, static_cast<AttrNumber>(a)) == type) return true;
  return false;
}

/// A walker: true for whatever is more than columns, values, and their comparison and coercion. Plain C.
bool more_than_values(Node *node, void *context) {
  if (!node) return false;
  switch (nodeTag(node)) {
    case T_List: case T_TargetEntry: case T_FromExpr: case T_RangeTblRef: case T_OnConflictExpr: case T_Var: case T_Const: case T_Param:
    case T_RelabelType: case T_BoolExpr: case T_NullTest: case T_CaseTestExpr: case T_ArrayCoerceExpr:
      break;
    case T_FuncExpr:
      if (reinterpret_cast<FuncExpr *>(node)->funcformat != COERCE_IMPLICIT_CAST) return true;
      [[fallthrough]];
    case T_OpExpr: case T_ScalarArrayOpExpr: case T_CoerceViaIO:
      if (check_functions_in_node(node, may_run_code, nullptr)) return true;
      break;
    case T_CoerceToDomain:
      if (!is_column_type(*static_cast<Oid *>(context), reinterpret_cast<CoerceToDomain *>(node)->resulttype)) return true;
      break;
    default:
      return true;
  }
  return expression_tree_walker(node, as_walker(more_than_values), context);
}

/// A change of one table by values, as forward.cpp and home_row.cpp make it.
bool is_plain_change(const Query *query, Oid relid) {
  if (list_length(query->rtable) != 1 || query->cteList != NIL || query->hasSubLinks || query->setOperations) return false;
  if (query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE && query->commandType != CMD_DELETE) return false;
  if (query->onConflict && query->onConflict->action != ONCONFLICT_NOTHING) return false;
  for (void *part : {static_cast<void *>(query->targetList), static_cast<void *>(query->jointree), static_cast<void *>(query->returningList)})
    if (more_than_values(static_cast<Node *>(part), &relid)) return false;
  return true;
}

struct Found {
  std::vector<RangeTblEntry *> read;
};

/// A walker: the tables that are only read, at any depth.
bool find_read(Node *node, void *context) {
  if (!node) return false;
  if (!IsA(node, Query)) return expression_tree_walker(node, as_walker(find_read), context);
  auto *query = reinterpret_cast<Query *>(node);
  for (int i = 1; i <= list_length(query->rtable); i++) {
    auto *entry = static_cast<RangeTblEntry *>(list_nth(query->rtable, i - 1));
    if (entry->rtekind == RTE_RELATION && i != query->resultRelation) static_cast<Found *>(context)->read.push_back(entry);
  }
  return query_tree_walker(query, as_walker(find_read), context, 0);
}

bool is_users_table(Oid relid) {
  const bridge::EnrolledTable *table = bridge::enrolled_table(relid);
  return table && !table->fabric;
}

/// The action of a rule is a statement of its own, of which no table could be told the owner.
void refuse_rules(Oid relid) {
  bool rules = bridge::pg_call([&] {
    Relation relation = table_open(relid, NoLock);  // which the analysis has
    bool has = relation->rd_rules != nullptr;
    table_close(relation, NoLock);
    return has;
  });
  if (rules)
    bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "table " + bridge::enrolled_table(relid)->name + " has rules, so other nodes cannot change its rows",
                           "What the rules do would have the rights of the nodes' role.", "Use triggers instead: they have the rights of the table's owner.");
}

void grant(Query *query) {
  Found found;
  bridge::pg_call([&] { (void)find_read(reinterpret_cast<Node *>(query), &found); });
  for (RangeTblEntry *entry : found.read)
    if (is_users_table(entry->relid)) entry->checkAsUser = BOOTSTRAP_SUPERUSERID;
  if (query->resultRelation == 0) return;
  auto *target = static_cast<RangeTblEntry *>(list_nth(query->rtable, query->resultRelation - 1));
  if (!is_users_table(target->relid) || !bridge::pg_call([&] { return is_plain_change(query, target->relid); })) return;
  refuse_rules(target->relid);
  target->checkAsUser = BOOTSTRAP_SUPERUSERID;
  target->requiredPerms |= kAsOwner;
}

/// The statement in one that declares a cursor for it, or explains it: analysed together.
Query *inner(Query *query) {
  if (query->commandType != CMD_UTILITY) return query;
  Node *in = nullptr;
  if (IsA(query->utilityStmt, DeclareCursorStmt)) in = reinterpret_cast<DeclareCursorStmt *>(query->utilityStmt)->query;
  if (IsA(query->utilityStmt, ExplainStmt)) in = reinterpret_cast<ExplainStmt *>(query->utilityStmt)->query;
  return in && IsA(in, Query) ? reinterpret_cast<Query *>(in) : nullptr;
}

/// Constraint triggers of users that wait for the commit would run there with the rights of the session: they run with their
/// statement, and so with the owner's. Those of PostgreSQL for foreign keys take the owner's rights by themselves.
void hasten_triggers(ResultRelInfo *rel) {
  TriggerDesc *triggers = rel->ri_TrigDesc;  // a copy
  for (int i = 0; triggers && i < triggers->numtriggers; i++)
    if (!triggers->triggers[i].tgisinternal) triggers->triggers[i].tgdeferrable = triggers->triggers[i].tginitdeferred = false;
}

void start(QueryDesc *query, int flags) {
  if (previous_start)
    previous_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
  if (bridge::guc::read_scope != bridge::guc::kReadHome || query->plannedstmt->resultRelations == NIL) return;
  ListCell *lc;
  foreach (lc, query->estate->es_opened_result_relations) hasten_triggers(static_cast<ResultRelInfo *>(lfirst(lc)));
}

}  // namespace

void grant_to_peer(Query *query) {
  Query *asked = inner(query);
  if (asked && is_peer()) grant(asked);
}

Oid owner_for_peer(const QueryDesc *query) {
  const PlannedStmt *plan = query->plannedstmt;
  if (bridge::guc::read_scope != bridge::guc::kReadHome || plan->resultRelations == NIL) return InvalidOid;
  bool all_rights = superuser();
  return bridge::entry([&]() -> Oid {
    ListCell *lc;
    int i = 0;
    foreach (lc, plan->rtable) {
      auto *entry = static_cast<RangeTblEntry *>(lfirst(lc));
      i++;
      if (entry->rtekind != RTE_RELATION || !(entry->requiredPerms & kAsOwner || (all_rights && list_member_int(plan->resultRelations, i)))) continue;
      if (const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid)) return table->owner;
    }
    return InvalidOid;
  });
}

void init_peer_rights() {
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = start;
}

}  // namespace vectorshard::read
