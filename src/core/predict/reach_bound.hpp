// The farthest that a client is reckoned with: no candidate of reach_set() is farther away, and none that a forecast has by the
// ways of others. Whoever is further from the areas of other nodes than that needs no prediction. What one that stands may do
// is reckoned as a drive, so habits are not cut off either.
#pragma once
#include <array>

#include "core/predict/ways.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

class ReachBound {
 public:
  ReachBound() = default;
  /// Of the ways that were learned so far.
  explicit ReachBound(const Ways &ways);

  /// Metres per second, from the last report on.
  double speed_mps(const telemetry::Motion &motion) const;
  double metres(const telemetry::Motion &motion, double horizon_s) const;
  /// How far ahead any predictor looks from the last report.
  static double horizon_s(const telemetry::Motion &motion, double lead_s, double margin_s);

 private:
  std::array<float, kWayClasses> fastest_{};
};

}  // namespace vectorshard::predict
