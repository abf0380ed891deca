// The clock as apply itself needs it, beside stamp() and observe() (api.hpp).
#pragma once
#include "core/base/ids.hpp"

namespace vectorshard::apply {

/// The largest version accepted from others now: max_clock_skew_ms ahead of the wall clock.
Version future_limit();
/// This node's clock as peers are told it: the larger of wall clock and high-water mark. Takes nothing.
Version clock_now();

}  // namespace vectorshard::apply
