// A counter that several nodes add to and subtract from at once (PN-counter): its value is the base of its birth plus
// what each entry added less what it took away. The laws that all CRDT values keep are in crdt.hpp.
#pragma once
#include <vector>

#include "core/apply/crdt_entry.hpp"

namespace vectorshard::apply {

struct CounterEntry {
  EntryKey key;
  uint64_t plus = 0, minus = 0;  // sums, which only grow; not both 0
  bool operator==(const CounterEntry &) const = default;
};

struct Counter {
  Version birth = 0;  // 0: not born yet (a literal, or a row from before its table was enrolled)
  int64_t base = 0;
  std::vector<CounterEntry> entries;  // sorted by key
  int64_t pending = 0;                // not attributed to a node yet
  bool fresh = false;
  bool operator==(const Counter &) const = default;
};

using CounterValue = __int128;  // entries of many nodes may pass the range of bigint for a while

CounterValue value(const Counter &c);
/// `c` plus n (pending). Errors: invalid_argument when the pending part leaves the range of bigint.
Result<Counter> plus(Counter c, int64_t n);

std::string encode(const Counter &c);
/// Errors: corrupt.
Result<Counter> decode_counter(std::string_view bytes);

Counter merge(const Counter &a, const Counter &b);
Counter ended(const Counter &c, Version deleted);
CrdtWrite classify(const Counter &was, const Counter &now);
Result<Counter> grown(const Counter &was, const Counter &now, const EntryKey &entry);
Result<Counter> born(const Counter &now, Version birth);

}  // namespace vectorshard::apply
