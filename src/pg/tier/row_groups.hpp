// The row groups of a segment's file, as its footer tells: where their columns lie and what values they have. From it comes which bytes of the
// file a question needs.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tier/condition.hpp"
#include "pg/tier/sparse_copy.hpp"

namespace vectorshard::tier {

struct RowGroup {
  int64_t first = 0, rows = 0;         // rows by their numbers
  std::vector<Zone> zones;             // per manifest column
  std::vector<ByteRange> data, bloom;  // per manifest column; empty where there is none
};

/// The row groups, read from the footer, which is fetched if need be. Kept in this process; valid until the next call for another segment.
const std::vector<RowGroup> &row_groups_of(SparseCopy &copy, const SegmentFacts &facts);
/// The same of a file that is whole.
const std::vector<RowGroup> &row_groups_of(const std::string &path, const SegmentFacts &facts);

/// Fetches the footer.
void need_footer(SparseCopy &copy);

/// True if it is known of every one of these columns where its values are.
bool all_lie_somewhere(const std::vector<RowGroup> &groups, const std::vector<bool> &wanted);

/// The rows from the first to before the last row group in which the conditions may hold; none: they hold nowhere.
std::optional<std::pair<int64_t, int64_t>> rows_needed(const std::vector<RowGroup> &groups, const std::vector<Condition> &conditions);

/// The bytes of these columns (`wanted`, per manifest column) for those rows.
std::vector<ByteRange> bytes_needed(const std::vector<RowGroup> &groups, const std::vector<bool> &wanted, std::pair<int64_t, int64_t> rows);

}  // namespace vectorshard::tier
