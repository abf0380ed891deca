// How clients move on: for each class of speed and pace, where clients of that class came to, seen from their heading, per
// second. Learned from whoever reports, so it fits cars, walkers and aircraft, and reports of any rate, without a model of
// any; until enough is learned, a built-in guess. Plain data of fixed size, may lie in shared memory; no locks of its own.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// Average velocity from a report until some time later, in the frame of the heading then.
struct Way {
  float ahead_mps = 0;
  float aside_mps = 0;  // to the left
};

/// Clients that stand, walk, drive and fly are told apart, and those in a flow from those that stop and go.
constexpr int kSpeedClasses = 12, kPaceClasses = 4, kWayClasses = kSpeedClasses * kPaceClasses;
int way_class(const telemetry::Motion &motion, double speed_mps);

class Ways {
 public:
  static constexpr size_t kSamples = 128;
  /// Equally likely ways.
  struct Pool {
    std::array<Way, kSamples> ways;
    uint16_t count = 0;
    const Way *begin() const { return ways.data(); }
    const Way *end() const { return ways.data() + count; }
  };

  Ways();
  /// Room for it is made by a guess, as long as there are any, then by the oldest sample.
  void learn(int of_class, Way way);
  const Pool &of(int of_class) const { return pools_[static_cast<size_t>(of_class)]; }

 private:
  std::array<Pool, kWayClasses> pools_;
  std::array<uint32_t, kWayClasses> learned_{};
};

}  // namespace vectorshard::predict
