// Which row groups of a segment a sample of its rows is taken from. Bytes come from a store by whole row groups only.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace vectorshard::tier {

/// Rows by their numbers, from the first to before the second.
using RowRange = std::pair<int64_t, int64_t>;

/// At most `most` row groups (at least one), spread evenly: the groups, of so many rows each, are cut into as many stretches, of each of which one is
/// chosen by chance (`random` gives numbers from 0 to below 1). Neighbours come as one range.
std::vector<RowRange> choose_row_groups(const std::vector<int64_t> &rows, size_t most, const std::function<double()> &random);

}  // namespace vectorshard::tier
