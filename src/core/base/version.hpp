// Row version: one number that orders all writes of the fabric, from a hybrid logical clock.
//
//   bits 63..22  milliseconds since 2020-01-01 UTC (42 bits, to the year 2159)
//   bits 21..10  counter within the millisecond (12 bits)
//   bits  9..0   node number (10 bits)
//
// Pure arithmetic: the wall clock and the high-water mark are given by the caller (src/pg/apply/clock.cpp keeps them
// in shared memory and on disk). Unique in the fabric as long as node numbers are, so "the larger wins" is total.
#pragma once
#include "core/base/ids.hpp"

namespace vectorshard {

constexpr int64_t kVersionEpochUnixMs = 1577836800000;  // 2020-01-01T00:00:00Z
constexpr int kVersionNodeBits = 10;
constexpr int kVersionCounterBits = 12;
constexpr int kVersionTickShift = kVersionNodeBits;  // one tick = one counter step

constexpr int64_t version_ms(Version v) { return v >> (kVersionNodeBits + kVersionCounterBits); }
constexpr int64_t version_unix_ms(Version v) { return version_ms(v) + kVersionEpochUnixMs; }
constexpr NodeId version_node(Version v) { return static_cast<NodeId>(v & kNodeMax); }
constexpr Version version_at_unix_ms(int64_t unix_ms, NodeId node) {
  return ((unix_ms - kVersionEpochUnixMs) << (kVersionNodeBits + kVersionCounterBits)) | node;
}

/// The next version of `node`: larger than `high_water` and than `replaced`, not before the wall clock.
/// `high_water` is the largest version this node gave or saw. A full counter flows over into the next millisecond.
constexpr Version next_version(int64_t wall_unix_ms, Version high_water, Version replaced, NodeId node) {
  Version floor = high_water > replaced ? high_water : replaced;
  Version wall = version_at_unix_ms(wall_unix_ms, 0);
  Version tick = (floor >> kVersionTickShift) + 1;
  Version wall_tick = wall >> kVersionTickShift;
  if (wall_tick > tick) tick = wall_tick;
  return (tick << kVersionTickShift) | node;
}

}  // namespace vectorshard
