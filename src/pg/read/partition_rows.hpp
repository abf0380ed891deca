// Scans of stubs that give rows with their TIDs, and whatever else belongs to a row of a table: for row locks (those of foreign keys, too), UPDATE,
// DELETE and MERGE, whole rows and ctid. The segment is asked with the conditions, for the columns that the plan needs. Nothing is locked or
// changed here: that is for the access method (tier/stub_am), which gets the TIDs.
#pragma once
#include "pg/read/plan.hpp"

namespace vectorshard::read {

/// Makes the path one of such a scan.
void set_up_rows(CustomPath *path, const RelPlan *known);
void init_partition_rows();

}  // namespace vectorshard::read
