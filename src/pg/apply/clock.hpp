// The clock as apply itself needs it, beside stamp() and observe() (api.hpp).
#pragma once
#include "core/base/ids.hpp"

namespace vectorshard::apply {

/// The largest version accepted from others now: max_clock_skew_ms ahead of the wall clock.
Version future_limit();

}  // namespace vectorshard::apply
