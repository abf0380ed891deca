// Which segments are written anew: those of whose rows few count (their clients came back), and small ones of a table together.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace vectorshard::tier {

struct SegmentUse {
  std::string name, store, table;
  int64_t bytes = 0, rows = 0;
  int64_t live_rows = 0;  // rows that count
  /// What a new object of those would have, about.
  int64_t live_bytes() const { return rows > 0 ? static_cast<int64_t>(static_cast<double>(bytes) * static_cast<double>(live_rows) / static_cast<double>(rows)) : 0; }
};

struct CompactionRules {
  double live_share = 0.5;        // below it a segment is written anew
  int64_t small_bytes = 8 << 20;  // a segment below that is small,
  size_t small_many = 8;          // and so many of them become one
  int64_t most_bytes = 64 << 20;  // of a new object, unless one segment alone has more
};

/// Groups of segments of one store and table that should become one object each. A segment without rows that count is in none: it is dead.
std::vector<std::vector<std::string>> choose_compactions(std::vector<SegmentUse> segments, const CompactionRules &rules);

}  // namespace vectorshard::tier
