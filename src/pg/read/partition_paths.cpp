// Paths of partitions in a store: see partition_paths.hpp.
#include "pg/read/partition_paths.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/partition_plan.hpp"
#include "pg/read/partition_rows.hpp"
extern "C" {
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
}

namespace vectorshard::read {

namespace {

// Opening a file and asking DuckDB takes a few milliseconds, as long as some hundred pages from memory.
constexpr Cost kAsk = 100;
// Decoding a value of a column, in terms of cpu_tuple_cost: ten million a second, where the heap gives some million rows.
constexpr double kValueCost = 0.1;

/// One way to ask: for the rows that all `inside` conditions leave, which `here` are looked at.
struct Way {
  ParamPathInfo *info = nullptr;  // null: of all rows
  List *inside = NIL, *here = NIL;
  double given = 0;  // by the segment
  double rows = 0;
  Cost total = 0;
};

/// Finding the rows, giving them, and looking at them.
void reckon(PlannerInfo *root, RelOptInfo *rel, const RelPlan *known, Way *way) {
  double columns = Max(1, list_length(rel->reltarget->exprs));
  QualCost looked_at;
  cost_qual_eval(&looked_at, way->here, root);
  // With columns of others in them, that of this relation must be named.
  way->given = clamp_row_est(rel->tuples * clauselist_selectivity(root, way->inside, way->info ? static_cast<int>(rel->relid) : 0, JOIN_INNER, nullptr));
  way->rows = way->info ? way->info->ppi_rows : rel->rows;
  way->total = kAsk * Max(1, known->files) + rel->tuples * 0.1 * cpu_operator_cost + looked_at.startup +
               way->given * (cpu_tuple_cost * (0.5 + kValueCost * columns) + looked_at.per_tuple);
}

/// For each row of the relations `outer`. There is one for every set, even where the segment cannot be asked for their columns: without it an Append
/// would have no such path, and the heaps beside it could not use their indexes.
Way way_for(PlannerInfo *root, RelOptInfo *rel, const RelPlan *known, Relids outer) {
  Way way;
  bridge::pg_call([&] {
    way.info = get_baserel_parampathinfo(root, rel, outer);
    way.inside = list_copy(known->inside);
    way.here = list_copy(known->here);
  });
  if (way.info && !sort_conditions(root, rel, *known->segment, way.info->ppi_clauses, &way.inside, &way.here)) way.inside = known->inside;
  bridge::pg_call([&] { reckon(root, rel, known, &way); });
  return way;
}

/// The pages that a heap of the same rows would have: by them PostgreSQL reckons how many workers are worth their while.
BlockNumber like_heap_pages(RelOptInfo *rel) {
  return static_cast<BlockNumber>(Min(rel->tuples * (rel->reltarget->width + 28.0) / BLCKSZ + 1, 1e9));
}

void add_partial(PlannerInfo *root, RelOptInfo *rel, Cost total) {
  if (!rel->consider_parallel || rel->lateral_relids) return;
  int workers = compute_parallel_worker(rel, like_heap_pages(rel), -1, max_parallel_workers_per_gather);
  if (workers <= 0) return;
  // As PostgreSQL reckons (get_parallel_divisor): the leader takes part, the less the more workers there are.
  double divisor = workers + Max(0, 1 - 0.3 * workers) * (parallel_leader_participation ? 1 : 0);
  ForeignPath *path = create_foreignscan_path(root, rel, nullptr, clamp_row_est(rel->rows / divisor), kAsk, kAsk + (total - kAsk) / divisor, NIL, nullptr, nullptr, NIL);
  path->path.parallel_aware = true;
  path->path.parallel_workers = workers;
  add_partial_path(rel, reinterpret_cast<Path *>(path));
}

void add_scan(PlannerInfo *root, RelOptInfo *rel, const Way &way) {
  Relids outer = way.info ? way.info->ppi_req_outer : nullptr;
  add_path(rel, reinterpret_cast<Path *>(create_foreignscan_path(root, rel, nullptr, way.rows, kAsk, way.total, NIL, outer, nullptr, NIL)));
}

void add_rows(RelOptInfo *rel, const RelPlan *known, const Way &way) {
  CustomPath *path = makeNode(CustomPath);
  path->path.pathtype = T_CustomScan;
  path->path.parent = rel;
  path->path.pathtarget = rel->reltarget;
  path->path.param_info = way.info;
  path->path.parallel_safe = rel->consider_parallel;
  path->path.rows = way.rows;
  path->path.startup_cost = kAsk;
  path->path.total_cost = way.total;
  set_up_rows(path, known);
  add_path(rel, &path->path);
}

/// Calls `add` for all rows, then for each set of other relations whose rows may ask.
template <class Add>
double each_way(PlannerInfo *root, RelOptInfo *rel, const RelPlan *known, Add &&add) {
  Way all = way_for(root, rel, known, rel->lateral_relids);
  bridge::pg_call([&] { add(all); });
  if (known->role == Role::parquet) return all.given;  // each time files would be opened anew
  ListCell *lc;
  foreach (lc, bridge::pg_call([&] { return outer_sets(root, rel); })) {
    Way way = way_for(root, rel, known, static_cast<Relids>(lfirst(lc)));
    bridge::pg_call([&] { add(way); });
  }
  return all.given;
}

}  // namespace

void partition_paths(PlannerInfo *root, RelOptInfo *rel) {
  auto *known = static_cast<RelPlan *>(rel->fdw_private);
  known->given = each_way(root, rel, known, [&](const Way &way) {
    add_scan(root, rel, way);
    if (!way.info && known->role == Role::partition) add_partial(root, rel, way.total);
  });
}

void row_paths(PlannerInfo *root, RelOptInfo *rel, const RelPlan *known) {
  bridge::pg_call([&] {
    List *kept = NIL;  // a row by its TID
    ListCell *lc;
    foreach (lc, rel->pathlist)
      if (static_cast<Path *>(lfirst(lc))->pathtype != T_SeqScan) kept = lappend(kept, lfirst(lc));
    rel->pathlist = kept;
    rel->partial_pathlist = NIL;
  });
  each_way(root, rel, known, [&](const Way &way) { add_rows(rel, known, way); });
}

}  // namespace vectorshard::read
