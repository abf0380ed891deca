// Merging tombstones: the rows they end are removed here too.
#pragma once
#include "pg/apply/merge_rows.hpp"

namespace vectorshard::apply {

/// Merges items [begin, end) of a group of tombstones: those newer than what stands here are written and the rows they
/// end removed. With `wait`, a tombstone for an absent row waits for the table's open writers, one of which may be
/// inserting that row with an older version, and looks again.
Outcome write_tombstones(const Group &group, size_t begin, size_t end, bool wait);

}  // namespace vectorshard::apply
