// Paths of partitions in a store, and what they cost: a question to the segment, for all rows or for each row of other tables.
#pragma once
#include "pg/read/plan.hpp"

namespace vectorshard::read {

/// Scans of rows that are only read (partition_scan.hpp).
void partition_paths(PlannerInfo *root, RelOptInfo *rel);
/// Scans of rows that are locked, changed, or asked for their place (partition_rows.hpp), instead of the access method's.
void row_paths(PlannerInfo *root, RelOptInfo *rel, const RelPlan *known);

}  // namespace vectorshard::read
