// A vector-shard table in a query and its two children, and what this node reads of it itself where other homes are asked for more, or
// less, than rows. Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/plan.hpp"

namespace vectorshard::read {

/// The table and its two children.
struct Family {
  RelOptInfo *parent = nullptr, *heap = nullptr, *elsewhere = nullptr;
  RelPlan *known = nullptr;
};

/// False if `input` is not such a table, or not one whose rows are just read.
bool family_of(PlannerInfo *root, RelOptInfo *input, Family *f);

AppendRelInfo *child_of(PlannerInfo *root, const Family &f);

/// The plan of asking all other homes, as far as it can be told before the shape of the answer is.
ScanPlan begun(const Family &f);

/// The rows that this node reads itself, as the steps above expect them.
Path *local_rows(PlannerInfo *root, const Family &f, bool parallel);

/// What all homes give: a relation of its own, with the columns `target`. `columns`, if `target` has none: what comes in their place.
RelOptInfo *parts_relation(const Family &f, PathTarget *target, const ScanPlan &plan, List *params, bool parallel, PathTarget *columns = nullptr);
Path *remote_parts(PlannerInfo *root, RelOptInfo *rel, double rows);
/// What this node has, and what others give, together.
Path *both(PlannerInfo *root, RelOptInfo *rel, Path *local, Path *remote);
/// The scan of such a relation, for GetForeignPlan.
ForeignScan *get_parts_plan(RelOptInfo *rel, List *tlist);

}  // namespace vectorshard::read
