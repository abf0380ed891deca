// Choosing row groups for a sample: see sample.hpp.
#include "core/tier/sample.hpp"

#include <algorithm>

namespace vectorshard::tier {

std::vector<RowRange> choose_row_groups(const std::vector<int64_t> &rows, size_t most, const std::function<double()> &random) {
  std::vector<int64_t> first{0};
  for (int64_t n : rows) first.push_back(first.back() + n);
  const size_t stretches = std::clamp<size_t>(most, 1, std::max<size_t>(rows.size(), 1));
  std::vector<RowRange> out;
  for (size_t s = 0; s < stretches && !rows.empty(); s++) {
    size_t from = s * rows.size() / stretches, to = (s + 1) * rows.size() / stretches;
    size_t at = std::min(from + static_cast<size_t>(random() * static_cast<double>(to - from)), to - 1);
    if (!out.empty() && out.back().second == first[at])
      out.back().second = first[at + 1];
    else
      out.emplace_back(first[at], first[at + 1]);
  }
  return out;
}

}  // namespace vectorshard::tier
