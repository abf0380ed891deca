// Planning what every home computes of its own rows: see upper.hpp. Plain C inside: the planner's errors pass through as they are.
#include "pg/read/upper.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/family.hpp"
#include "pg/read/grouping.hpp"
#include "pg/read/joins.hpp"
#include "pg/read/partial.hpp"
#include "pg/read/partition_upper.hpp"
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

// What a row that is not sent saves: making it, sending it and reading it is some microseconds, as reading thirty rows of a heap.
constexpr Cost kRowSaved = 0.3;

/// What a query reads, if all homes can be asked about it: a table, or a join.
struct Whole {
  RelOptInfo *input = nullptr;
  Family family;                    // of the table, or of the first of the join
  const JoinShape *join = nullptr;  // null: a table
  ScanPlan plan;
  List *params = NIL;
  FormOf of;

  List *outputs(PlannerInfo *root, PathTarget *target) { return remote_outputs(root, target, of, &params); }
  bool can_parallel() const { return !join && family.heap->partial_pathlist != NIL && family.elsewhere->consider_parallel; }
  Path *local(PlannerInfo *root, bool parallel) const { return join ? local_join(root, input, join) : local_rows(root, family, parallel); }
};

bool whole_of(PlannerInfo *root, RelOptInfo *input, Whole *w) {
  w->input = input;
  if (family_of(root, input, &w->family)) {
    w->plan = begun(w->family);
    w->of.relids = w->family.elsewhere->relids;
    w->of.members = list_make1_int(static_cast<int>(w->family.elsewhere->relid));
    w->of.of = child_of(root, w->family);
    return ship_conditions(root, w->family.elsewhere, w->family.elsewhere->baserestrictinfo, &w->plan, &w->params);
  }
  w->join = join_of(input);
  if (!w->join) return false;
  w->family = first_family(w->join);
  w->plan = begun(w->family);
  return plan_join(root, w->join, &w->plan, &w->of, &w->params);
}

/// Nothing else is left but what finds the first or last by an index: a plan that fetches all rows first is never better.
void keep_only_ends(RelOptInfo *output) {
  List *kept = NIL;
  ListCell *lc;
  foreach (lc, output->pathlist)
    if (IsA(lfirst(lc), MinMaxAggPath)) kept = lappend(kept, lfirst(lc));
  output->pathlist = kept;
}

/// Where homes send less, whatever fetches the rows first is dropped. A join may have better ways here (by an index, in parallel) than what this
/// node makes of its own part: then what is not sent must be worth more.
void prefer(RelOptInfo *output, const Whole &w, double rows, const Path *parts) {
  if (w.join) {
    double saved = rows_elsewhere_of(w.join) - rows;
    ListCell *lc;
    foreach (lc, output->pathlist)
      if (saved < 0 || parts->total_cost > static_cast<Path *>(lfirst(lc))->total_cost + saved * kRowSaved) return;
  }
  keep_only_ends(output);
}

/// This node's part; in parallel if that is cheaper.
Path *local_part(PlannerInfo *root, const Whole &w, RelOptInfo *rel, const Grouping &g) {
  bool parallel = rel->consider_parallel && enable_parallel_append && w.can_parallel();
  return first_step(root, rel, w.local(root, false), parallel ? w.local(root, true) : nullptr, g);
}

/// Aggregates in which equal rows count once: homes give every row of groups and arguments once.
void add_rows_once(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, const GroupPathExtraData *extra) {
  Query *parse = root->parse;
  Whole w;
  if ((parse->groupClause && !(extra->flags & GROUPING_CAN_USE_SORT)) || !whole_of(root, input, &w)) return;
  PathTarget *target = once_target(root, output->reltarget, extra->havingQual);
  w.plan.outputs = target ? w.outputs(root, target) : NIL;
  if (w.plan.outputs == NIL) return;
  w.plan.distinct = true;
  double rows = estimate_num_groups(root, target->exprs, input->rows, nullptr, nullptr), groups = 1;
  if (parse->groupClause) groups = estimate_num_groups(root, get_sortgrouplist_exprs(parse->groupClause, extra->targetList), input->rows, nullptr, nullptr);
  RelOptInfo *rel = parts_relation(w.family, target, w.plan, w.params, output->consider_parallel && !w.join);
  Path *local = w.local(root, false);
  local = reinterpret_cast<Path *>(create_projection_path(root, local->parent, local, target));
  Path *all = both(root, rel, local, remote_parts(root, rel, rows));
  if (parse->groupClause && !pathkeys_contained_in(root->group_pathkeys, all->pathkeys))
    all = reinterpret_cast<Path *>(create_sort_path(root, rel, all, root->group_pathkeys, -1.0));
  AggClauseCosts costs = {};
  get_agg_clause_costs(root, AGGSPLIT_SIMPLE, &costs);
  prefer(output, w, rows, all);
  add_path(output, reinterpret_cast<Path *>(create_agg_path(root, output, all, output->reltarget, parse->groupClause ? AGG_SORTED : AGG_PLAIN,
                                                            AGGSPLIT_SIMPLE, parse->groupClause, reinterpret_cast<List *>(extra->havingQual), &costs, groups)));
}

void add_grouping(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra) {
  Query *parse = root->parse;
  if (parse->groupingSets || parse->hasTargetSRFs) return;
  if (!(extra->flags & GROUPING_CAN_PARTIAL_AGG)) {
    if (parse->hasAggs) add_rows_once(root, input, output, extra);
    return;
  }
  Whole w;
  if (!whole_of(root, input, &w)) return;
  PathTarget *target = partial_target(root, output->reltarget, extra->havingQual, &w.plan.groups);
  w.plan.outputs = target ? w.outputs(root, target) : NIL;
  if (w.plan.outputs == NIL) return;

  Grouping g = grouping_of(root, input, extra);
  RelOptInfo *rel = parts_relation(w.family, target, w.plan, w.params, output->consider_parallel && !w.join);
  Path *parts = both(root, rel, local_part(root, w, rel, g), remote_parts(root, rel, g.groups));
  prefer(output, w, g.groups, parts);
  add_last_step(root, output, parts, g);
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
  Whole w;
  PathTarget *target = input->cheapest_total_path->pathtarget;
  if (target->exprs == NIL || !all_alike(parse->distinctClause, target) || !whole_of(root, input, &w)) return;
  w.plan.distinct = true;
  w.plan.outputs = w.outputs(root, target);
  if (w.plan.outputs == NIL) return;

  double groups = estimate_num_groups(root, get_sortgrouplist_exprs(parse->distinctClause, parse->targetList), input->rows, nullptr, nullptr);
  RelOptInfo *rel = parts_relation(w.family, target, w.plan, w.params, output->consider_parallel && !w.join);
  Path *rows = both(root, rel, w.local(root, false), remote_parts(root, rel, groups));
  prefer(output, w, groups, rows);
  if (grouping_is_hashable(parse->distinctClause))
    add_path(output, reinterpret_cast<Path *>(create_agg_path(root, output, rows, target, AGG_HASHED, AGGSPLIT_SIMPLE, parse->distinctClause, NIL,
                                                              nullptr, groups)));
  if (!grouping_is_sortable(parse->distinctClause)) return;
  Path *sorted = reinterpret_cast<Path *>(create_sort_path(root, output, rows, root->distinct_pathkeys, -1.0));
  add_path(output, reinterpret_cast<Path *>(create_upper_unique_path(root, output, sorted, list_length(root->distinct_pathkeys), groups)));
}

void upper_paths(PlannerInfo *root, UpperRelationKind stage, RelOptInfo *input, RelOptInfo *output, void *extra) {
  if (previous) previous(root, stage, input, output, extra);
  if (stage == UPPERREL_GROUP_AGG) {
    auto *how = static_cast<GroupPathExtraData *>(extra);
    bridge::entry([&]() -> void {
      add_grouping(root, input, output, how);
      add_partition_grouping(root, input, output, how);
    });
  }
  if (stage == UPPERREL_DISTINCT) {
    bridge::entry([&]() -> void {
      add_distinct(root, input, output);
      add_partition_distinct(root, input, output);
    });
  }
}

}  // namespace

void init_upper_paths() {
  previous = create_upper_paths_hook;
  create_upper_paths_hook = upper_paths;
}

}  // namespace vectorshard::read
