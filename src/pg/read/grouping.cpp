// Aggregates in two steps: see grouping.hpp.
#include "pg/read/grouping.hpp"

extern "C" {
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "utils/selfuncs.h"
}

namespace vectorshard::read {

namespace {

Path *aggregated(PlannerInfo *root, RelOptInfo *rel, Path *rows, PathTarget *target, const Grouping &g, AggStrategy strategy, bool last) {
  if (strategy == AGG_SORTED && !pathkeys_contained_in(root->group_pathkeys, rows->pathkeys))
    rows = reinterpret_cast<Path *>(create_sort_path(root, rel, rows, root->group_pathkeys, -1.0));
  List *having = last ? reinterpret_cast<List *>(g.extra->havingQual) : NIL;
  return reinterpret_cast<Path *>(create_agg_path(root, rel, rows, target, strategy, last ? AGGSPLIT_FINAL_DESERIAL : AGGSPLIT_INITIAL_SERIAL,
                                                  g.parse->groupClause, having, last ? &g.last : &g.first, g.groups));
}

}  // namespace

Grouping grouping_of(PlannerInfo *root, RelOptInfo *input, GroupPathExtraData *extra) {
  Grouping g = {root->parse, extra, {}, {}, 1};
  if (g.parse->hasAggs) {
    get_agg_clause_costs(root, AGGSPLIT_INITIAL_SERIAL, &g.first);
    get_agg_clause_costs(root, AGGSPLIT_FINAL_DESERIAL, &g.last);
  }
  if (g.parse->groupClause)
    g.groups = estimate_num_groups(root, get_sortgrouplist_exprs(g.parse->groupClause, extra->targetList), input->rows, nullptr, nullptr);
  return g;
}

Path *first_step(PlannerInfo *root, RelOptInfo *rel, Path *rows, Path *partial, const Grouping &g) {
  AggStrategy strategy = g.parse->groupClause == NIL ? AGG_PLAIN : g.hashes() && (enable_hashagg || !g.sorts()) ? AGG_HASHED : AGG_SORTED;
  Path *serial = aggregated(root, rel, rows, rel->reltarget, g, strategy, false);
  if (!partial) return serial;
  Path *half = aggregated(root, rel, partial, rel->reltarget, g, strategy, false);
  double all = half->rows * half->parallel_workers;
  Path *gathered = reinterpret_cast<Path *>(create_gather_path(root, rel, half, rel->reltarget, nullptr, &all));
  return gathered->total_cost < serial->total_cost ? gathered : serial;
}

void add_last_step(PlannerInfo *root, RelOptInfo *output, Path *parts, const Grouping &g) {
  if (g.parse->groupClause == NIL) return add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_PLAIN, true));
  if (g.hashes()) add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_HASHED, true));
  if (g.sorts()) add_path(output, aggregated(root, output, parts, output->reltarget, g, AGG_SORTED, true));
}

}  // namespace vectorshard::read
