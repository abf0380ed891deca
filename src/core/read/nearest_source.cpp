// The choice between a home and copies: see nearest_source.hpp.
#include "core/read/nearest_source.hpp"

#include <algorithm>
#include <utility>

namespace vectorshard::read {

namespace {

constexpr double kWorthS = 0.001;
constexpr double kUnmeasuredS = 1;  // a copy's node that was never measured

double weight_of_home(const Source &home) { return std::max(0.0, home.rtt_s / 2 - kWorthS); }

}  // namespace

bool near_enough(const Source &home) { return !home.dead && weight_of_home(home) == 0; }

NodeId nearest_source(const Source &home, const std::vector<Source> &holders) {
  NodeId out = home.node;
  std::pair<bool, double> least{home.dead, weight_of_home(home)};
  for (const Source &h : holders) {
    std::pair<bool, double> weight{h.dead, h.rtt_s > 0 ? h.rtt_s : kUnmeasuredS};
    if (out != kNoNode && weight >= least) continue;
    out = h.node;
    least = weight;
  }
  return out;
}

}  // namespace vectorshard::read
