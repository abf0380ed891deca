// Planning what every home computes of its own rows: see upper.hpp. Plain C inside: the planner's errors pass through as they are.
#include "pg/read/upper.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/partial.hpp"
#include "pg/read/plan.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/planner.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/selfuncs.h"
}

namespace vectorshard::read {

namespace {

create_upper_paths_hook_type previous = nullptr;

/// What is known of one such query (RelOptInfo.fdw_private of the relation of parts).
struct Parts {
  List *plan;     // a ScanPlan
  List *params;
};

/// The table and its two children.
struct Family {
  RelOptInfo *parent = nullptr, *heap = nullptr, *elsewhere = nullptr;
  RelPlan *known = nullptr;
};

bool family_of(PlannerInfo *root, RelOptInfo *input, Family *f) {
  if (!input || input->reloptkind != RELOPT_BASEREL || input->rtekind != RTE_RELATION || !root->append_rel_array) return false;
  RangeTblEntry *entry = planner_rt_fetch(input->relid, root);
  if (!entry->inh || entry->relkind != RELKIND_RELATION || entry->tablesample) return false;
  const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid);
  if (!table || !OidIsValid(table->elsewhere) || !table->only_child) return false;
  Oid child = table->elsewhere;
  f->parent = input;
  for (int i = 1; i < root->simple_rel_array_size; i++) {
    AppendRelInfo *of = root->append_rel_array[i];
    if (!of || of->parent_relid != input->relid) continue;
    RelOptInfo *rel = root->simple_rel_array[i];
    if (!rel || IS_DUMMY_REL(rel) || !rel->cheapest_total_path || rel->cheapest_total_path->param_info) return false;
    (planner_rt_fetch(static_cast<Index>(i), root)->relid == child ? f->elsewhere : f->heap) = rel;
  }
  if (!f->heap || !f->elsewhere || bms_is_member(static_cast<int>(f->elsewhere->relid), root->all_result_relids)) return false;
  f->known = static_cast<RelPlan *>(f->elsewhere->fdw_private);
  return f->known && f->known->role == Role::elsewhere && !get_plan_rowmark(root->rowMarks, input->relid);
}

AppendRelInfo *child_of(PlannerInfo *root, const Family &f) { return root->append_rel_array[f.elsewhere->relid]; }

/// What can be told before the shape of the answer is.
ScanPlan begun(const Family &f) {
  ScanPlan plan;
  plan.part = Part::homes;
  plan.exact = true;
  plan.parent = f.known->parent;
  plan.table = f.known->table;
  plan.client_attnum = f.known->client.attnum;
  return plan;
}

Path *cold_path(PlannerInfo *root, const Family &f) {
  return reinterpret_cast<Path *>(create_foreignscan_path(root, f.elsewhere, nullptr, 1, kStartup, kNamed, NIL, nullptr, nullptr,
                                                          list_make1_int(kColdAlone)));
}

/// The rows that this node reads itself, as the steps above expect them.
Path *local_rows(PlannerInfo *root, const Family &f, bool parallel) {
  Path *cold = cold_path(root, f);
  AppendPath *append;
  if (parallel) {
    Path *heap = static_cast<Path *>(linitial(f.heap->partial_pathlist));
    append = create_append_path(root, f.parent, list_make1(cold), list_make1(heap), NIL, nullptr, heap->parallel_workers, true, -1);
  } else {
    append = create_append_path(root, f.parent, list_make2(f.heap->cheapest_total_path, cold), NIL, NIL, nullptr, 0, false, -1);
  }
  append->path.pathtarget = f.known->parent_target;
  return reinterpret_cast<Path *>(create_projection_path(root, f.parent, &append->path, f.parent->reltarget));
}

/// The relation of the parts of all nodes: its columns, and how other homes are asked.
RelOptInfo *parts_relation(PlannerInfo *root, UpperRelationKind kind, const Family &f, PathTarget *target, const ScanPlan &plan,
                           List *params, bool parallel) {
  RelOptInfo *rel = fetch_upper_rel(root, kind, f.elsewhere->relids);
  rel->reltarget = target;
  rel->consider_parallel = parallel;
  rel->serverid = f.elsewhere->serverid;
  rel->userid = f.elsewhere->userid;
  rel->useridiscurrent = f.elsewhere->useridiscurrent;
  rel->fdwroutine = f.elsewhere->fdwroutine;
  Parts *parts = static_cast<Parts *>(palloc0(sizeof(Parts)));
  parts->plan = to_private(plan);
  parts->params = params;
  rel->fdw_private = parts;
  return rel;
}

Path *remote_parts(PlannerInfo *root, RelOptInfo *rel, double rows) {
  Cost total = kAskAll + rows * kRemoteRow;
  return reinterpret_cast<Path *>(create_foreign_upper_path(root, rel, rel->reltarget, rows, kAskAll, total, NIL, nullptr, NIL));
}

Path *both(PlannerInfo *root, RelOptInfo *rel, Path *local, Path *remote) {
  AppendPath *append = create_append_path(root, rel, list_make2(local, remote), NIL, NIL, nullptr, 0, false, -1);
  append->path.pathtarget = rel->reltarget;
  return &append->path;
}

/// Nothing else is left but what finds the first or last by an index: a plan that fetches all rows first is never better.
void keep_only_ends(RelOptInfo *output) {
  List *kept = NIL;
  ListCell *lc;
  foreach (lc, output->pathlist)
    if (IsA(lfirst(lc), MinMaxAggPath)) kept = lappend(kept, lfirst(lc));
  output->pathlist = kept;
}

struct Grouping {
  Query *parse;
  GroupPathExtraData *extra;
  AggClauseCosts first, last;
  double groups;

  bool sorts() const { return extra->flags & GROUPING_CAN_USE_SORT; }
  bool hashes() const { return extra->flags & GROUPING_CAN_USE_HASH; }
};

Path *aggregated(PlannerInfo *root, RelOptInfo *rel, Path *rows, PathTarget *target, const Grouping &g, AggStrategy strategy, bool last) {
  if (strategy == AGG_SORTED && !pathkeys_contained_in(root->group_pathkeys, rows->pathkeys))
    rows = reinterpret_cast<Path *>(create_sort_path(root, rel, rows, root->group_pathkeys, -1.0));
  List *having = last ? reinterpret_cast<List *>(g.extra->havingQual) : NIL;
  return reinterpret_cast<Path *>(create_agg_path(root, rel, rows, target, strategy, last ? AGGSPLIT_FINAL_DESERIAL : AGGSPLIT_INITIAL_SERIAL,
                                                  g.parse->groupClause, having, last ? &g.last : &g.first, g.groups));
}

/// This node's part; in parallel if that is cheaper.
Path *local_part(PlannerInfo *root, const Family &f, RelOptInfo *rel, const Grouping &g) {
  AggStrategy strategy = g.parse->groupClause == NIL ? AGG_PLAIN : g.hashes() && (enable_hashagg || !g.sorts()) ? AGG_HASHED : AGG_SORTED;
  Path *serial = aggregated(root, rel, local_rows(root, f, false), rel->reltarget, g, strategy, false);
  if (!rel->consider_parallel || !enable_parallel_append || f.heap->partial_pathlist == NIL || !f.elsewhere->consider_parallel) return serial;
  Path *partial = aggregated(root, rel, local_rows(root, f, true), rel->reltarget, g, strategy, false);
  double rows = partial->rows * partial->parallel_workers;
  Path *gathered = reinterpret_cast<Path *>(create_gather_path(root, rel, partial, rel->reltarget, nullptr, &rows));
  return gathered->total_cost < serial->total_cost ? gathered : serial;
}

void add_grouping(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra) {
  Query *parse = root->parse;
  if (parse->groupingSets || parse->hasTargetSRFs || !(extra->flags & GROUPING_CAN_PARTIAL_AGG)) return;
  Family f;
  if (!family_of(root, input, &f)) return;
  ScanPlan plan = begun(f);
  List *params = NIL;
  PathTarget *target = partial_target(root, output->reltarget, extra->havingQual, &plan.groups);
  if (!target || !ship_conditions(root, f.elsewhere, f.elsewhere->baserestrictinfo, &plan, &params)) return;
  plan.outputs = remote_outputs(root, target, child_of(root, f), &params);
  if (plan.outputs == NIL) return;

  Grouping g = {parse, extra, {}, {}, 1};
  if (parse->hasAggs) {
    get_agg_clause_costs(root, AGGSPLIT_INITIAL_SERIAL, &g.first);
    get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &g.last);
  }
  if (parse->groupClause)
    g.groups = estimate_num_groups(root, get_sortgrouplist_exprs(parse->groupClause, extra->targetList), input->rows, nullptr, nullptr);
  RelOptInfo *rel = parts_relation(root, UPPERREL_PARTIAL_GROUP_AGG, f, target, plan, params, output->consider_parallel);
  Path *parts = both(root, rel, local_part(root, f, rel, g), remote_parts(root, rel, g.groups));
  keep_only_ends(output);
  if (parse->groupClause == NIL) return add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_PLAIN, true));
  if (g.hashes()) add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_HASHED, true));
  if (g.sorts()) add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_SORTED, true));
}

bool all_alike(List *clauses, PathTarget *target) {
  ListCell *lc;
  int i = 0;
  foreach (lc, target->exprs) {
    Index reference = get_pathtarget_sortgroupref(target, i++);
    SortGroupClause *clause = reference ? get_sortgroupref_clause_noerr(reference, clauses) : nullptr;
    if (!clause || !equal_alike(clause->eqop, exprCollation(static_cast<Node *>(lfirst(lc))))) return false;
  }
  return true;
}

void add_distinct(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output) {
  Query *parse = root->parse;
  if (parse->hasDistinctOn || parse->hasTargetSRFs || parse->hasAggs || parse->hasWindowFuncs || parse->groupClause || root->distinct_pathkeys == NIL)
    return;
  Family f;
  if (!family_of(root, input, &f)) return;
  ScanPlan plan = begun(f);
  plan.distinct = true;
  List *params = NIL;
  PathTarget *target = input->cheapest_total_path->pathtarget;
  if (target->exprs == NIL || !all_alike(parse->distinctClause, target)) return;
  if (!ship_conditions(root, f.elsewhere, f.elsewhere->baserestrictinfo, &plan, &params)) return;
  plan.outputs = remote_outputs(root, target, child_of(root, f), &params);
  if (plan.outputs == NIL) return;

  double groups = estimate_num_groups(root, get_sortgrouplist_exprs(parse->distinctClause, parse->targetList), input->rows, nullptr, nullptr);
  RelOptInfo *rel = parts_relation(root, UPPERREL_PARTIAL_DISTINCT, f, target, plan, params, output->consider_parallel);
  Path *rows = both(root, rel, local_rows(root, f, false), remote_parts(root, rel, groups));
  keep_only_ends(output);
  if (grouping_is_hashable(parse->distinctClause))
    add_path(output, reinterpret_cast<Path *>(create_agg_path(root, output, rows, target, AGG_HASHED, AGGSPLIT_SIMPLE, parse->distinctClause, NIL,
                                                              nullptr, groups)));
  if (!grouping_is_sortable(parse->distinctClause)) return;
  Path *sorted = reinterpret_cast<Path *>(create_sort_path(root, output, rows, root->distinct_pathkeys, -1.0));
  add_path(output, reinterpret_cast<Path *>(create_upper_unique_path(root, output, sorted, list_length(root->distinct_pathkeys), groups)));
}

void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output, void *extra) {
  if (previous) previous(root, stage, input, output, extra);
  if (stage == UPPERREL_GROUP_AGG)
    bridge::entry([&]() -> void { add_grouping(root, input, output, static_cast<GroupPathExtraData *>(extra)); });
  if (stage == UPPERREL_DISTINCT) bridge::entry([&]() -> void { add_distinct(root, input, output); });
}

}  // namespace

void init_upper_paths() {
  previous = create_upper_paths_hook;
  create_upper_paths_hook = upper_paths;
}

ForeignScan *get_upper_plan(RelOptInfo *rel, List *tlist) {
  auto *parts = static_cast<Parts *>(rel->fdw_private);
  return make_foreignscan(tlist, NIL, 0, static_cast<List *>(copyObjectImpl(parts->params)),
                          static_cast<List *>(copyObjectImpl(parts->plan)), static_cast<List *>(copyObjectImpl(tlist)), NIL, nullptr);
}

}  // namespace vectorshard::read
