// Planning scans of partitions in a store: see partition_plan.hpp.
#include "pg/read/partition_plan.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/limit.hpp"
#include "pg/read/partition_outputs.hpp"
#include "pg/read/plan.hpp"
extern "C" {
#include "access/table.h"
#include "optimizer/cost.h"
#include "optimizer/joininfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

namespace {

// Opening a file and asking DuckDB takes a few milliseconds, as long as some hundred pages from memory.
constexpr Cost kAsk = 100;
// Decoding a value of a column, in terms of cpu_tuple_cost: ten million a second, where the heap gives some million rows.
constexpr double kValueCost = 0.1;

/// Of giving the rows and looking at them.
Cost rows_cost(RelOptInfo *rel) {
  auto *known = static_cast<RelPlan *>(rel->fdw_private);
  double columns = Max(1, list_length(rel->reltarget->exprs));
  return known->given * (cpu_tuple_cost * (0.5 + kValueCost * columns) + known->looked_at.per_tuple) + known->looked_at.startup;
}

/// The pages that a heap of the same rows would have: by them PostgreSQL reckons how many workers are worth their while.
BlockNumber like_heap_pages(RelOptInfo *rel) {
  return static_cast<BlockNumber>(Min(rel->tuples * (rel->reltarget->width + 28.0) / BLCKSZ + 1, 1e9));
}

}  // namespace

tier::SegmentColumns segment_columns(Oid table) {
  const tier::SegmentFacts &facts = tier::facts_of(tier::segment_of_table(table));
  Relation rel = bridge::pg_call([&] { return table_open(table, NoLock); });
  tier::SegmentColumns columns(facts, RelationGetDescr(rel));
  bridge::pg_call([&] { table_close(rel, NoLock); });
  return columns;
}

void partition_size(PlannerInfo *root, RelOptInfo *rel, Oid table) {
  const tier::SegmentFacts facts = tier::facts_of(tier::segment_of_table(table));
  tier::SegmentColumns columns = segment_columns(table);
  rel->tuples = static_cast<double>(facts.segment.rows);
  bridge::pg_call([&] { set_baserel_size_estimates(root, rel); });
  List *inside = NIL, *here = NIL;
  ListCell *lc;
  foreach (lc, rel->baserestrictinfo) {
    List *params = NIL;
    Expr *form = bridge::pg_call([&] { return shippable_form(root, lfirst_node(RestrictInfo, lc)->clause, rel->relid, kFirstConditionParam, &params); });
    std::optional<tier::Condition> c;
    if (form) c = tier::condition_of(reinterpret_cast<Node *>(form), columns, kFirstConditionParam, NIL);
    if (c && !tier::may_hold(*c, facts.zones, facts.segment.rows)) return bridge::pg_call([&] { mark_dummy_rel(rel); });
    bridge::pg_call([&] { (c ? inside : here) = lappend(c ? inside : here, lfirst(lc)); });
  }
  auto *known = static_cast<RelPlan *>(rel->fdw_private);
  bridge::pg_call([&] {
    known->given = clamp_row_est(rel->tuples * clauselist_selectivity(root, inside, 0, JOIN_INNER, nullptr));
    cost_qual_eval(&known->looked_at, here, root);
  });
}

void partition_paths(PlannerInfo *root, RelOptInfo *rel) {
  bridge::pg_call([&] {
    Cost total = kAsk + rel->tuples * 0.1 * cpu_operator_cost + rows_cost(rel);
    add_path(rel, reinterpret_cast<Path *>(create_foreignscan_path(root, rel, nullptr, rel->rows, kAsk, total, NIL, rel->lateral_relids, nullptr, NIL)));
    if (!rel->consider_parallel || rel->lateral_relids) return;
    int workers = compute_parallel_worker(rel, like_heap_pages(rel), -1, max_parallel_workers_per_gather);
    if (workers <= 0) return;
    // As PostgreSQL reckons (get_parallel_divisor): the leader takes part, the less the more workers there are.
    double divisor = workers + Max(0, 1 - 0.3 * workers) * (parallel_leader_participation ? 1 : 0);
    ForeignPath *path = create_foreignscan_path(root, rel, nullptr, clamp_row_est(rel->rows / divisor), kAsk, kAsk + (total - kAsk) / divisor, NIL, nullptr, nullptr, NIL);
    path->path.parallel_aware = true;
    path->path.parallel_workers = workers;
    add_partial_path(rel, reinterpret_cast<Path *>(path));
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
  tier::SegmentColumns columns = segment_columns(plan->table);
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

}  // namespace vectorshard::read
