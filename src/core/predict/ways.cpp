// Ways of clients: see ways.hpp.
#include "core/predict/ways.hpp"

#include <algorithm>
#include <cmath>

namespace vectorshard::predict {

namespace {

// A class starts with so many guesses. Each sample that is learned takes a guess's place, until there are enough of them; then
// the rest of the guesses go.
constexpr size_t kGuesses = 32, kEnough = 16;

// Upper ends of the classes but the first, which is of parked clients, and the last, which is open. The paces: on foot, in
// traffic, on a road, faster.
constexpr double kSpeeds[kSpeedClasses - 2] = {0.5, 1.5, 3, 5, 8, 12, 18, 26, 60, 150};
constexpr double kPaces[kPaceClasses - 1] = {1, 4, 9};

/// A guess: the directions are likelier the nearer they are to the heading, the ways Rayleigh-distributed about what the speed
/// gives, by quantiles. Both fit what cabs do within a minute (docs/simulator.md).
Way guess(size_t i, double speed) {
  constexpr double kTurn = 1.2, kScale = 1.1, kFloorMps = 1;
  constexpr size_t kQuantiles = 8;
  double sharpness = speed > 0.5 ? kTurn * speed / (speed + 1) : 0;
  // The direction in the middle of this share of the weight exp(sharpness * cos(angle)).
  double share = (static_cast<double>(i / kQuantiles) + 0.5) / (kGuesses / kQuantiles), sum = 0, total = 0, angle = 0;
  constexpr int kSteps = 72;
  auto weight = [&](int s) { return std::exp(sharpness * std::cos(2 * telemetry::kPi * (s + 0.5) / kSteps - telemetry::kPi)); };
  for (int s = 0; s < kSteps; s++) total += weight(s);
  for (int s = 0; s < kSteps && sum < share * total; s++) {
    sum += weight(s);
    angle = 2 * telemetry::kPi * (s + 0.5) / kSteps - telemetry::kPi;
  }
  double quantile = (static_cast<double>(i % kQuantiles) + 0.5) / kQuantiles;
  double way = kScale * (speed + kFloorMps) * std::sqrt(-std::log(1 - quantile));
  return {static_cast<float>(way * std::cos(angle)), static_cast<float>(way * std::sin(angle))};
}

}  // namespace

int way_class(const telemetry::Motion &m, double speed) {
  if (telemetry::parked(m)) return 0;
  auto rank = [](const double *ends, int n, double x) { return static_cast<int>(std::upper_bound(ends, ends + n, x) - ends); };
  return (1 + rank(kSpeeds, kSpeedClasses - 2, speed)) * kPaceClasses + rank(kPaces, kPaceClasses - 1, m.pace_mps);
}

Ways::Ways() {
  for (int s = 0; s < kSpeedClasses; s++) {
    double from = s < 2 ? 0 : kSpeeds[s - 2], to = s == 0 ? 0 : s == kSpeedClasses - 1 ? 300 : kSpeeds[s - 1];
    for (int p = 0; p < kPaceClasses; p++) {
      Pool &pool = pools_[static_cast<size_t>(s * kPaceClasses + p)];
      pool.count = kGuesses;
      for (size_t i = 0; i < kGuesses; i++)  // scattered, so that those that are replaced first are of all kinds
        pool.ways[i] = s == 0 ? Way{} : guess(i * 13 % kGuesses, (from + to) / 2);
    }
  }
}

void Ways::learn(int of_class, Way way) {
  auto c = static_cast<size_t>(of_class);
  if (c >= pools_.size()) return;  // an anchor may come from a node that tells other classes apart
  Pool &pool = pools_[c];
  pool.ways[learned_[c]++ % kSamples] = way;
  if (learned_[c] >= kEnough) pool.count = static_cast<uint16_t>(std::min<size_t>(learned_[c], kSamples));
}

}  // namespace vectorshard::predict
