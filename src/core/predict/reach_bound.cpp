// The farthest of a client: see reach_bound.hpp.
#include "core/predict/reach_bound.hpp"

#include <algorithm>
#include <cmath>

#include "core/predict/kalman.hpp"
#include "core/predict/types.hpp"

namespace vectorshard::predict {

namespace {

constexpr double kTimesSpeed = 2.42;  // what a reach set probes: its scale times the farthest
constexpr double kStartsMps = 10;     // one that stands may drive off,
constexpr double kSetsOutMps = 30;    // and where habits tell when, the whole way is reckoned with
constexpr double kSlackM = 50;
constexpr double kFlat = 1.1;         // flat-earth metres are so wrong at most, where there is clearance at all
constexpr double kWindowS = 30;       // of a forecast

}  // namespace

ReachBound::ReachBound(const Ways &ways) {
  for (int c = 0; c < kWayClasses; c++)
    for (const Way &w : ways.of(c)) fastest_[static_cast<size_t>(c)] = std::max(fastest_[static_cast<size_t>(c)], std::hypot(w.ahead_mps, w.aside_mps));
}

double ReachBound::speed_mps(const telemetry::Motion &m) const {
  Velocity v = velocity(m);
  double speed = std::hypot(v.east, v.north);
  double by_reach_set = kTimesSpeed * (std::max(speed, (speed + m.pace_mps) / 2) + 1);
  return kFlat * std::max({m.habit.moves[0].times > 0 ? kSetsOutMps : kStartsMps, by_reach_set, static_cast<double>(fastest_[static_cast<size_t>(way_class(m, speed))])});
}

double ReachBound::metres(const telemetry::Motion &m, double horizon_s) const { return kSlackM + speed_mps(m) * horizon_s; }

double ReachBound::horizon_s(const telemetry::Motion &m, double lead_s, double margin_s) {
  return lead_s + std::max({margin_s, m.interval_s, kWindowS});
}

}  // namespace vectorshard::predict
