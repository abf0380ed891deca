// Plans of the heap alone: see local_plan.hpp. A table may be left to its heap if a condition that every row must meet names its
// client: rows of other clients cannot count, and rows of that one lie nowhere else while it is resident. What has to be checked
// at the start, and what is done if it does not hold, travel in the plan as an entry of its range table that nothing refers to:
// the statement as it was; or, where a parameter names the client and any execution may find another, the plan with the child.
//
// Plain C where the planner is called: its errors pass through as they are.
#include "pg/read/local_plan.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/read/home_tables.hpp"
#include "pg/read/named_tables.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "storage/lmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::read {

namespace {

planner_hook_type previous_planner = nullptr;
ExecutorStart_hook_type previous_start = nullptr;

constexpr char kMarker[] = "vectorshard clients";

PlannedStmt *next_planner(Query *query, const char *source, int options, ParamListInfo params) {
  return previous_planner ? previous_planner(query, source, options, params) : standard_planner(query, source, options, params);
}

/// The parameter's value as a constant, if it is settled; else the parameter.
Node *settled_param(Param *param, ParamListInfo params) {
  ParamExternData space;
  if (!params || param->paramid < 1 || param->paramid > params->numParams) return reinterpret_cast<Node *>(param);
  const ParamExternData *p =
      params->paramFetch ? params->paramFetch(params, param->paramid, false, &space) : &params->params[param->paramid - 1];
  if (!(p->pflags & PARAM_FLAG_CONST) || p->ptype != param->paramtype) return reinterpret_cast<Node *>(param);
  int16 length;
  bool by_value;
  get_typlenbyval(p->ptype, &length, &by_value);
  Datum value = p->isnull ? 0 : datumCopy(p->value, by_value, length);
  return reinterpret_cast<Node *>(makeConst(p->ptype, param->paramtypmod, param->paramcollid, length, value, p->isnull, by_value));
}

Node *with_values(Node *node, void *params) {
  if (!node) return nullptr;
  if (IsA(node, Param)) return settled_param(castNode(Param, node), static_cast<ParamListInfo>(params));
  auto mutator = reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(with_values));
  return expression_tree_mutator(node, mutator, params);
}

/// The names as constants, as far as the values of parameters are settled.
List *settled(List *clients, ParamListInfo params) {
  List *out = NIL;
  ListCell *lc;
  foreach (lc, clients) {
    Node *name = static_cast<Node *>(lfirst(lc));
    if (!IsA(name, Const) && params) name = with_values(name, params);
    out = lappend(out, IsA(name, Const) || IsA(name, Param) || !params ? name : eval_const_expressions(nullptr, name));
  }
  return out;
}

/// The value of a name as a constant, if there are values of parameters; else the name.
Node *value_of(Node *name, ParamListInfo params) {
  if (IsA(name, Const) || !params) return name;
  ExprContext context = {};
  context.type = T_ExprContext;
  context.ecxt_per_query_memory = context.ecxt_per_tuple_memory = CurrentMemoryContext;
  context.ecxt_param_list_info = params;
  Const *out = makeConst(exprType(name), -1, InvalidOid, 0, 0, true, false);
  out->constvalue = ExecEvalExpr(ExecInitExprWithParams(reinterpret_cast<Expr *>(name), params), &context, &out->constisnull);
  return reinterpret_cast<Node *>(out);
}

/// The names' values, with the parameters of this execution.
List *evaluated(List *clients, ParamListInfo params) {
  List *out = NIL;
  ListCell *lc;
  foreach (lc, clients) out = lappend(out, value_of(static_cast<Node *>(lfirst(lc)), params));
  return out;
}

bool all_settled(List *clients) {
  ListCell *lc;
  foreach (lc, clients)
    if (!IsA(lfirst(lc), Const)) return false;
  return true;
}

/// `home`: some table is read at the clients' homes alone.
bool served(const std::string &name, bool home, Snapshot snapshot) {
  if (!(snapshot ? apply::resident_under(snapshot, name) : apply::resident_now(name))) return false;
  if (!home) return true;
  return snapshot ? at_home(snapshot, name) : bridge::with_fresh_snapshot([&](Snapshot s) { return at_home(s, name); });
}

/// Whether all of them are here. A parameter whose value is not given names nobody that could be.
bool all_served(List *clients, bool home, Snapshot snapshot) {
  return bridge::entry([&]() -> bool {
    ListCell *lc;
    foreach (lc, clients) {
      if (!IsA(lfirst(lc), Const)) return false;
      Const *c = lfirst_node(Const, lc);
      if (c->constisnull) continue;  // equals no client
      Oid type = getBaseType(c->consttype);
      if (!OidIsValid(get_element_type(type))) {
        if (!served(text_of(type, c->constvalue), home, snapshot)) return false;
        continue;
      }
      for (const std::string &name : names_in(c->constvalue, type))
        if (!served(name, home, snapshot)) return false;
    }
    return true;
  });
}

bool for_peer() { return bridge::guc::read_scope == bridge::guc::kReadHome; }

/// A cursor may be read backwards, which a plan with the child cannot; only what is read forwards once may be planned again. A parallel
/// query, functions that it calls included, may take no snapshot to look under. What another node asks here it reads forwards once.
bool may_be_local(const Query *query, int options) {
  return query->commandType == CMD_SELECT && ((options & CURSOR_OPT_PARALLEL_OK) || for_peer()) && !query->rowMarks && !query->hasSubLinks && !query->cteList &&
         !query->setOperations && !query->utilityStmt && bridge::guc::read_scope != bridge::guc::kReadLocal && bridge::shared() &&
         bridge::self_node() != kNoNode && !IsInParallelMode();
}

bool any_home_table(List *tables) {
  return bridge::entry([&]() -> bool {
    ListCell *lc;
    foreach (lc, tables)
      if (is_home_table(lfirst_node(RangeTblEntry, lc)->relid)) return true;
    return false;
  });
}

/// `whole`: a Query or a PlannedStmt.
RangeTblEntry *marker(List *clients, bool home, void *whole) {
  RangeTblEntry *entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_RESULT;
  entry->eref = makeAlias(kMarker, NIL);
  entry->values_lists = clients;
  entry->security_barrier = home;
  entry->subquery = static_cast<Query *>(whole);
  return entry;
}

const RangeTblEntry *marker_of(const PlannedStmt *plan) {
  if (plan->commandType != CMD_SELECT || plan->rtable == NIL) return nullptr;
  const RangeTblEntry *last = llast_node(RangeTblEntry, plan->rtable);
  bool marks = last->rtekind == RTE_RESULT && last->subquery && last->eref && strcmp(last->eref->aliasname, kMarker) == 0;
  return marks ? last : nullptr;
}

PlannedStmt *plan(Query *query, const char *source, int options, ParamListInfo params) {
  List *tables = NIL, *clients = NIL;
  if (may_be_local(query, options)) clients = bridge::entry([&]() -> List * { return clients_of(query, &tables); });
  clients = settled(clients, params);
  bool certain = all_settled(clients), home = any_home_table(tables);
  if (clients == NIL || (certain && !all_served(clients, home, nullptr))) return next_planner(query, source, options, params);
  auto *copy = static_cast<Query *>(copyObjectImpl(query));
  PlannedStmt *whole = certain ? nullptr : next_planner(copy, source, options, params);
  ListCell *lc;
  foreach (lc, tables) static_cast<RangeTblEntry *>(lfirst(lc))->inh = false;
  PlannedStmt *local = next_planner(query, source, options, params);
  fix_opfuncids(reinterpret_cast<Node *>(clients));  // they are evaluated as they are
  local->rtable = lappend(local->rtable, marker(clients, home, whole ? static_cast<void *>(whole) : copy));
  if (!whole) return local;
  local->relationOids = list_concat_unique_oid(local->relationOids, whole->relationOids);
  local->invalItems = list_concat(local->invalItems, whole->invalItems);
  return local;
}

/// The plan with the child. One that was made beforehand has not had its tables locked; what changes them locks the parent too.
PlannedStmt *whole_plan(const RangeTblEntry *marks, QueryDesc *query) {
  Node *whole = reinterpret_cast<Node *>(marks->subquery);
  if (!IsA(whole, PlannedStmt))
    return next_planner(static_cast<Query *>(copyObjectImpl(whole)), query->sourceText, for_peer() ? 0 : CURSOR_OPT_PARALLEL_OK, query->params);
  ListCell *lc;
  foreach (lc, castNode(PlannedStmt, whole)->rtable) {
    const RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);
    if (entry->rtekind == RTE_RELATION) LockRelationOid(entry->relid, entry->rellockmode);
  }
  return castNode(PlannedStmt, whole);
}

/// The plan may be a kept one, so it is not changed; one that is made anew lives as long as this execution.
void start(QueryDesc *query, int flags) {
  const RangeTblEntry *marks = marker_of(query->plannedstmt);
  if (marks && (bridge::guc::read_scope == bridge::guc::kReadLocal ||
                !all_served(evaluated(marks->values_lists, query->params), marks->security_barrier, query->snapshot)))
    query->plannedstmt = whole_plan(marks, query);
  if (previous_start)
    previous_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
}

}  // namespace

void init_local_plans() {
  previous_planner = planner_hook;
  planner_hook = plan;
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = start;
}

}  // namespace vectorshard::read
