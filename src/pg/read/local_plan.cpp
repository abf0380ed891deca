// Plans of the heap alone: see local_plan.hpp. A table may be left to its heap if a condition that every row must meet names its
// client: rows of other clients cannot count, and rows of that one lie nowhere else while it is resident. What has to be checked
// at the start, and the statement as it was, travel in the plan as an entry of its range table that nothing refers to.
//
// Plain C where the planner is called: its errors pass through as they are.
#include "pg/read/local_plan.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/read/named_tables.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/planner.h"
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

bool residents(List *clients, Snapshot snapshot) {
  return bridge::entry([&]() -> bool {
    ListCell *lc;
    foreach (lc, clients) {
      Const *c = lfirst_node(Const, lc);
      std::string name = text_of(getBaseType(c->consttype), c->constvalue);
      if (!(snapshot ? apply::residency_under(snapshot, name) : apply::residency_now(name)).resident) return false;
    }
    return true;
  });
}

/// A cursor may be read backwards, which a plan with the child cannot; only what is read forwards once may be planned again. A parallel
/// query, functions that it calls included, may take no snapshot to look under.
bool may_be_local(const Query *query, int options) {
  return query->commandType == CMD_SELECT && (options & CURSOR_OPT_PARALLEL_OK) && !query->rowMarks && !query->hasSubLinks && !query->cteList &&
         !query->setOperations && !query->utilityStmt && bridge::guc::read_scope == bridge::guc::kReadFabric && bridge::shared() &&
         bridge::self_node() != kNoNode && !IsInParallelMode();
}

RangeTblEntry *marker(List *clients, Query *whole) {
  RangeTblEntry *entry = makeNode(RangeTblEntry);
  entry->rtekind = RTE_RESULT;
  entry->eref = makeAlias(kMarker, NIL);
  entry->values_lists = clients;
  entry->subquery = whole;
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
  if (clients == NIL || !residents(clients, nullptr)) return next_planner(query, source, options, params);
  Query *whole = static_cast<Query *>(copyObjectImpl(query));
  ListCell *lc;
  foreach (lc, tables) static_cast<RangeTblEntry *>(lfirst(lc))->inh = false;
  PlannedStmt *local = next_planner(query, source, options, params);
  local->rtable = lappend(local->rtable, marker(clients, whole));
  return local;
}

/// The plan may be a kept one, so it is not changed; the new one lives as long as this execution.
void start(QueryDesc *query, int flags) {
  const RangeTblEntry *marks = marker_of(query->plannedstmt);
  if (marks && (bridge::guc::read_scope != bridge::guc::kReadFabric || !residents(marks->values_lists, query->snapshot))) {
    Query *whole = static_cast<Query *>(copyObjectImpl(marks->subquery));
    query->plannedstmt = next_planner(whole, query->sourceText, CURSOR_OPT_PARALLEL_OK, query->params);
  }
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
