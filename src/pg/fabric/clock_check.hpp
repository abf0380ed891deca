// Comparing wall clocks of two nodes when they first meet.
#pragma once
#include <cstdint>

namespace vectorshard::fabric {

/// Milliseconds since 1970, from the wall clock.
int64_t wall_clock_ms();

/// Raises Errc::clock_skew if the other clock is more than max_clock_skew_ms from ours. `round_trip_ms` is how long the
/// answer took: that much the other clock may seem behind without being so.
void check_clock(int64_t other_ms, int64_t here_ms, int64_t round_trip_ms);

}  // namespace vectorshard::fabric
