// The laws of merging: see rules.hpp. Pure: no database, no clock.
#include "core/apply/rules.hpp"

#include <algorithm>

namespace vectorshard::apply {

KeyState merge(const KeyState &a, const KeyState &b) {
  KeyState out{std::max(a.row, b.row), std::max(a.tombstone, b.tombstone)};
  if (ends(out.tombstone, out.row)) out.row = 0;
  return out;
}

std::vector<Keyed> newest_per_key(std::vector<Keyed> rows) {
  std::sort(rows.begin(), rows.end(), [](const Keyed &a, const Keyed &b) {
    int order = a.key.compare(b.key);
    if (order != 0) return order < 0;
    return a.rank != b.rank ? beats(a.rank, b.rank) : a.index > b.index;
  });
  auto last = std::unique(rows.begin(), rows.end(), [](const Keyed &a, const Keyed &b) { return a.key == b.key; });
  rows.erase(last, rows.end());
  return rows;
}

namespace {

void split(size_t begin, size_t end, const std::function<bool(size_t, size_t)> &attempt, std::vector<size_t> &failed) {
  if (begin == end || attempt(begin, end)) return;
  if (end - begin == 1) {
    failed.push_back(begin);
    return;
  }
  size_t middle = begin + (end - begin) / 2;
  split(begin, middle, attempt, failed);
  split(middle, end, attempt, failed);
}

}  // namespace

std::vector<size_t> bisect(size_t count, const std::function<bool(size_t begin, size_t end)> &attempt) {
  std::vector<size_t> failed;
  split(0, count, attempt, failed);
  return failed;
}

}  // namespace vectorshard::apply
