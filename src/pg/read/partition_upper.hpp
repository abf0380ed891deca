// Aggregates, GROUP BY and DISTINCT over a table some of whose partitions lie in a store: each such partition gives its part computed
//
//   Finalize Aggregate ─ Append ─┬ Partial Aggregate ─ Append of the partitions that are here (in parallel if that is cheaper)
//                                ├ a partition in a store: its groups
//                                └ …
//
// PostgreSQL itself would do so only with enable_partitionwise_aggregate, and only for partitions by which it groups, or all of them.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/pathnodes.h"
}

namespace vectorshard::read {

/// Adds such paths to `output`, for GROUP BY and aggregates.
void add_partition_grouping(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra);
/// The same for SELECT DISTINCT.
void add_partition_distinct(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output);

}  // namespace vectorshard::read
