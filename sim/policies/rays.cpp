// Policies that look along rays from the client: `reach` asks which nodes it can get to in any direction, `dead-reckoning` which
// one lies ahead. No history, no filter: what a first version would be, to compare with.
#include <algorithm>
#include <cmath>
#include <deque>

#include "../policies.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::sim {

namespace {

using telemetry::kMetresPerDegree;
using telemetry::kPi;

constexpr double kWindowS = 20, kFastestMps = 80, kHeadingFromMps = 0.5;

/// Velocity between the last report and one at least 20 s older, or the session's first.
struct Window {
  std::deque<std::pair<double, std::pair<double, double>>> fixes;  // time, (lat, lon)
  double speed_mps = 0, east = 0, north = 0;                       // unit vector, or zero

  void add(const Fix &x, bool starts) {
    if (starts) fixes.clear();
    fixes.push_back({x.at_s, {x.lat(), x.lon()}});
    while (fixes.size() > 2 && x.at_s - fixes[1].first >= kWindowS) fixes.pop_front();
    speed_mps = east = north = 0;
    double dt = fixes.back().first - fixes.front().first;
    if (dt <= 0) return;
    double vy = (fixes.back().second.first - fixes.front().second.first) * kMetresPerDegree / dt;
    double vx = (fixes.back().second.second - fixes.front().second.second) * kMetresPerDegree * std::cos(telemetry::radians(x.lat())) / dt;
    double speed = std::hypot(vx, vy);
    speed_mps = speed > kFastestMps ? 0 : speed;
    if (speed_mps <= kHeadingFromMps) return;
    east = vx / speed;
    north = vy / speed;
  }
};

NodeId at(const Nodes &nodes, const Fix &x, double east_m, double north_m) {
  return nodes.map->node_at(x.lat() + north_m / kMetresPerDegree,
                            x.lon() + east_m / kMetresPerDegree / std::max(0.01, std::cos(telemetry::radians(x.lat()))));
}

class Reach : public Policy {
 public:
  Reach(const Trace &trace, const Nodes &nodes, const PolicyOptions &o)
      : nodes_(nodes), windows_(trace.clients.size()), horizon_(o.transfer_s + o.get("h", 60)), r0_(o.get("r0", 100)),
        v0_(o.get("v0", 2)), side_(o.get("side", 0.3)), k_(static_cast<size_t>(o.get("k", 4))) {}

  void decide(const Step &step, std::vector<Want> &wants) override {
    Window &w = windows_[step.fix->client];
    w.add(*step.fix, step.starts);
    found_.clear();
    for (int d = 0; d < kDirections; d++) {
      double east = std::cos(2 * kPi * d / kDirections), north = std::sin(2 * kPi * d / kDirections);
      double reach = r0_ + (v0_ + w.speed_mps * std::max(east * w.east + north * w.north, side_)) * horizon_;
      for (int q = 1; q <= kProbes; q++) {
        NodeId n = at(nodes_, *step.fix, east * reach * q / kProbes, north * reach * q / kProbes);
        if (n == step.serving || n == kNoNode) continue;
        auto it = std::find_if(found_.begin(), found_.end(), [&](auto &f) { return f.second == n; });
        if (it == found_.end()) found_.emplace_back(q, n);
        else it->first = std::min(it->first, q);
        break;
      }
    }
    std::stable_sort(found_.begin(), found_.end(), [](auto &a, auto &b) { return a.first < b.first; });
    for (size_t i = 0; i < std::min(k_, found_.size()); i++) wants.push_back({found_[i].second, kNoEnd});
  }
  size_t bytes_per_client() const override { return sizeof(Window) + 3 * sizeof(windows_[0].fixes[0]); }

 private:
  static constexpr int kDirections = 16, kProbes = 4;
  const Nodes &nodes_;
  std::vector<Window> windows_;
  double horizon_, r0_, v0_, side_;
  size_t k_;
  std::vector<std::pair<int, NodeId>> found_;
};

/// All nodes that a cone of three rays ahead meets within the transfer and two minutes more.
class DeadReckoning : public Policy {
 public:
  DeadReckoning(const Trace &trace, const Nodes &nodes, const PolicyOptions &o)
      : nodes_(nodes), windows_(trace.clients.size()), horizon_(o.transfer_s + o.get("h", 120)), half_(o.get("cone", 20)) {}

  void decide(const Step &step, std::vector<Want> &wants) override {
    Window &w = windows_[step.fix->client];
    w.add(*step.fix, step.starts);
    if (w.east == 0 && w.north == 0) return;
    for (double degrees : {0.0, half_, -half_}) {
      double c = std::cos(telemetry::radians(degrees)), s = std::sin(telemetry::radians(degrees));
      for (int q = 1; q <= kProbes; q++) {
        double way = w.speed_mps * horizon_ * q / kProbes;
        NodeId n = at(nodes_, *step.fix, (w.east * c - w.north * s) * way, (w.north * c + w.east * s) * way);
        if (n == step.serving || n == kNoNode) continue;
        if (std::none_of(wants.begin(), wants.end(), [&](const Want &x) { return x.node == n; })) wants.push_back({n, kNoEnd});
      }
    }
  }
  size_t bytes_per_client() const override { return sizeof(Window) + 3 * sizeof(windows_[0].fixes[0]); }

 private:
  static constexpr int kProbes = 12;
  const Nodes &nodes_;
  std::vector<Window> windows_;
  double horizon_, half_;
};

}  // namespace

std::unique_ptr<Policy> make_reach(const Trace &trace, const Nodes &nodes, const PolicyOptions &options) {
  return std::make_unique<Reach>(trace, nodes, options);
}

std::unique_ptr<Policy> make_dead_reckoning(const Trace &trace, const Nodes &nodes, const PolicyOptions &options) {
  return std::make_unique<DeadReckoning>(trace, nodes, options);
}

}  // namespace vectorshard::sim
