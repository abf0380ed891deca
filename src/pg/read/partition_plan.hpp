// Planning scans of partitions in a store: what of a query their segment answers itself. Zones in the manifest tell which segments cannot
// have a row, so that neither DuckDB nor the store is asked for those. Runs in the planner; errors of PostgreSQL pass through pg_call.
#pragma once
#include <string>
#include <vector>

#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/read/private.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace vectorshard::read {

/// A partition's segment, or files of others, as planning needs it: looked up once for a relation.
struct SegmentView {
  int64_t rows = 0;
  std::vector<tier::Zone> zones;
  tier::SegmentColumns columns;
};
/// Goes with the present memory context.
const SegmentView *view_segment(Oid table);

/// Appends clauses to those that the segment answers itself, or to those that are looked at here; false if its zones show that no row is left.
bool sort_conditions(PlannerInfo *root, RelOptInfo *rel, const SegmentView &segment, List *clauses, List **inside, List **here);

/// Of files of others: the rows that their footers tell of, and how many may be wanted.
void files_size(PlannerInfo *root, RelOptInfo *rel);
/// Fills in `plan` and gives the expressions of its parameters.
List *plan_partition(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan);

/// Scans of stubs by what is above, wherever rows are only read, else by partition_rows.hpp. Hook of the planner.
void init_stub_paths();
/// The scan of one, for GetForeignPlan: of no one table, so that it need not be a foreign one.
ForeignScan *stub_plan(PlannerInfo *root, RelOptInfo *rel, ForeignPath *path, List *tlist, List *clauses, ScanPlan plan);

/// Puts all of `clauses` into `plan`; false if one cannot be had in the segment with exactly its meaning.
bool segment_conditions(PlannerInfo *root, RelOptInfo *rel, List *clauses, const tier::SegmentColumns &columns, ScanPlan *plan, List **params);
/// The columns of a table in a segment, or in a file of others; and of a partition.
tier::SegmentColumns columns_in(Oid table, const tier::SegmentFacts &facts);
tier::SegmentColumns segment_columns(Oid table, const std::string &segment);

}  // namespace vectorshard::read
