// Planning scans of partitions in a store: see partition_plan.hpp.
#include "pg/read/partition_plan.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/limit.hpp"
#include "pg/read/partition_outputs.hpp"
#include "pg/read/partition_paths.hpp"
#include "pg/read/partition_rows.hpp"
#include "pg/read/plan.hpp"
extern "C" {
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "nodes/makefuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

tier::SegmentColumns columns_in(Oid table, const tier::SegmentFacts &facts) {
  Relation rel = bridge::pg_call([&] { return table_open(table, AccessShareLock); });
  tier::SegmentColumns columns(facts, RelationGetDescr(rel));
  bridge::pg_call([&] { table_close(rel, NoLock); });
  return columns;
}

tier::SegmentColumns segment_columns(Oid table, const std::string &segment) { return columns_in(table, tier::facts_of(segment)); }

const SegmentView *view_segment(Oid table) {
  auto *callback = bridge::pg_call([] { return static_cast<MemoryContextCallback *>(palloc0(sizeof(MemoryContextCallback))); });
  const tier::SegmentFacts facts = tier::facts_of_table(table);
  auto *view = new SegmentView{facts.segment.rows, facts.zones, columns_in(table, facts)};
  callback->func = [](void *arg) { delete static_cast<SegmentView *>(arg); };
  callback->arg = view;
  MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
  return view;
}

bool sort_conditions(PlannerInfo *root, RelOptInfo *rel, const SegmentView &segment, List *clauses, List **inside, List **here) {
  ListCell *lc;
  foreach (lc, clauses) {
    List *params = NIL;
    Expr *form = bridge::pg_call([&] { return shippable_form(root, lfirst_node(RestrictInfo, lc)->clause, rel->relid, kFirstConditionParam, &params); });
    std::optional<tier::Condition> c;
    if (form) c = tier::condition_of(reinterpret_cast<Node *>(form), segment.columns, kFirstConditionParam, NIL);
    if (c && !tier::may_hold(*c, segment.zones, segment.rows)) return false;
    List **to = c ? inside : here;
    bridge::pg_call([&] { *to = lappend(*to, lfirst(lc)); });
  }
  return true;
}

namespace {

/// False: zones show that no row is left.
bool take_conditions(PlannerInfo *root, RelOptInfo *rel, RelPlan *known) {
  known->segment = view_segment(known->table);
  return sort_conditions(root, rel, *known->segment, rel->baserestrictinfo, &known->inside, &known->here);
}

}  // namespace

void files_size(PlannerInfo *root, RelOptInfo *rel) {
  auto *known = static_cast<RelPlan *>(rel->fdw_private);
  bool some = take_conditions(root, rel, known);
  rel->tuples = tier::foreign_rows(known->table, &known->files);
  bridge::pg_call([&] {
    set_baserel_size_estimates(root, rel);
    if (!some) mark_dummy_rel(rel);
  });
}

bool segment_conditions(PlannerInfo *root, RelOptInfo *rel, List *clauses, const tier::SegmentColumns &columns, ScanPlan *plan, List **params) {
  bool all = true;
  ListCell *lc;
  foreach (lc, clauses) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    List *before = bridge::pg_call([&] { return list_copy(*params); });
    Expr *form = nullptr;
    if (!rinfo->pseudoconstant) form = bridge::pg_call([&] { return shippable_form(root, rinfo->clause, rel->relid, kFirstConditionParam, params); });
    bool good = form && tier::condition_of(reinterpret_cast<Node *>(form), columns, kFirstConditionParam, NIL);
    if (good) plan->conditions = bridge::pg_call([&] { return lappend(plan->conditions, form); });
    if (!good) *params = before;
    all = all && good;
  }
  return all;
}

List *plan_partition(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan) {
  List *params = NIL;
  const tier::SegmentColumns &columns = static_cast<RelPlan *>(rel->fdw_private)->segment->columns;
  bool all = segment_conditions(root, rel, clauses, columns, plan, &params);
  if (!all) return params;
  bridge::pg_call([&] { plan_limit(root, rel, clauses, plan, &params); });
  ListCell *lc;
  foreach (lc, plan->order) {
    Node *form = static_cast<Node *>(lfirst(lc));
    if (IsA(form, Var) && orders_alike(form, columns)) continue;
    plan->order = NIL;
    plan->limit = 0;
    break;
  }
  return params;
}

namespace {

set_rel_pathlist_hook_type previous = nullptr;

bool has_system_column(Node *node, Index relid) {
  Bitmapset *used = nullptr;
  pull_varattnos(node, relid, &used);
  int last = -1;
  while ((last = bms_next_member(used, last)) >= 0)
    if (last + FirstLowInvalidHeapAttributeNumber <= 0) return true;  // or the whole row
  return false;
}

/// True if the rows of a stub are only read, and by their columns alone.
bool only_reads_columns(PlannerInfo *root, RelOptInfo *rel) {
  if (bms_is_member(static_cast<int>(rel->relid), root->all_result_relids) || get_plan_rowmark(root->rowMarks, rel->relid)) return false;
  if (has_system_column(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid)) return false;
  ListCell *lc;
  foreach (lc, rel->baserestrictinfo)
    if (has_system_column(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, lc)->clause), rel->relid)) return false;
  return true;
}

/// Makes the relation one of our wrapper; false if there is no fabric.
bool make_foreign(RelOptInfo *rel, RelPlan *known) {
  Oid server = get_foreign_server_oid("fabric", true);
  if (!OidIsValid(server)) return false;
  FdwRoutine *routine = GetFdwRoutineByServerId(server);
  if (!is_our_wrapper(routine)) return false;
  rel->rel_parallel_workers = -1;  // they share the scan; by the access method they could not
  rel->serverid = server;
  rel->fdwroutine = routine;
  rel->fdw_private = known;
  return true;
}

void stub_paths(PlannerInfo *root, RelOptInfo *rel, Index relid, RangeTblEntry *entry) {
  if (previous) previous(root, rel, relid, entry);
  if (entry->rtekind != RTE_RELATION || entry->relkind != RELKIND_RELATION || entry->inh || entry->tablesample || IS_DUMMY_REL(rel) ||
      !tier::is_stub(entry->relid))
    return;
  bridge::entry([&]() -> void {
    auto *known = bridge::pg_call([] { return static_cast<RelPlan *>(palloc0(sizeof(RelPlan))); });
    known->role = Role::partition;
    known->table = entry->relid;
    if (!take_conditions(root, rel, known)) return bridge::pg_call([&] { mark_dummy_rel(rel); });
    bool reads = bridge::pg_call([&] { return only_reads_columns(root, rel) && make_foreign(rel, known); });
    if (!reads) return row_paths(root, rel, known);
    rel->pathlist = rel->partial_pathlist = NIL;
    partition_paths(root, rel);
  });
}

}  // namespace

void init_stub_paths() {
  init_partition_rows();
  previous = set_rel_pathlist_hook;
  set_rel_pathlist_hook = stub_paths;
}

ForeignScan *stub_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist, List *clauses, ScanPlan plan) {
  plan.packed = true;
  List *expressions = plan_partition(root, rel, clauses, &plan);
  return bridge::pg_call([&] {
    List *columns = NIL;
    ListCell *lc;
    foreach (lc, plan.columns) {
      AttrNumber attribute = static_cast<AttrNumber>(lfirst_int(lc));
      Oid type, collation;
      int32 typmod;
      get_atttypetypmodcoll(plan.table, attribute, &type, &typmod, &collation);
      Var *column = makeVar(static_cast<int>(rel->relid), attribute, type, typmod, collation, 0);
      columns = lappend(columns, makeTargetEntry(reinterpret_cast<Expr *>(column), static_cast<AttrNumber>(list_length(columns) + 1), nullptr, false));
    }
    // All columns of the table are as good to the planner as those that are needed, but not to the segment.
    if (list_length(tlist) > list_length(path->path.pathtarget->exprs)) tlist = make_tlist_from_pathtarget(path->path.pathtarget);
    return make_foreignscan(tlist, extract_actual_clauses(clauses, false), 0, expressions, to_private(plan), columns, NIL, nullptr);
  });
}

}  // namespace vectorshard::read
