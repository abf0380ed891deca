// Reach set: see reach_set.hpp.
#include "core/predict/reach_set.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/predict/kalman.hpp"
#include "core/predict/local_frame.hpp"

namespace vectorshard::predict {

using telemetry::kPi;
using telemetry::Motion;

namespace {

constexpr double kHeadingFromMps = 0.5;  // slower: no direction is preferred
constexpr double kFarthest = 2.2;        // in typical ways: 99 % of clients get no further
constexpr double kHalf = 0.83;           // in typical ways: half of the clients get further

struct Heading {
  double east = 0, north = 0;  // unit vector, or zero
  double sharpness = 0;        // of the heading
  double speed = 0;            // to reckon with
};

Heading heading_of(const Motion &m, const ReachSettings &s) {
  Velocity v = velocity(m);
  double speed = std::hypot(v.east, v.north);
  Heading h;
  if (speed > kHeadingFromMps) {
    h.east = v.east / speed;
    h.north = v.north / speed;
    h.sharpness = s.turn * speed / (speed + 1);
  }
  h.speed = std::max(speed, speed + s.pace_share * (m.pace_mps - speed)) + s.floor_mps;
  return h;
}

Position moved(const Motion &m, double east_m, double north_m) {
  return from_metres({m.lat, m.lon}, {east_m, north_m});
}

Candidate &entry_of(std::vector<Candidate> &out, NodeId node) {
  auto it = std::find_if(out.begin(), out.end(), [&](const Candidate &c) { return c.node == node; });
  return it != out.end() ? *it : out.emplace_back(Candidate{node, 1e300, 1e300, 0});
}

/// Probes one ray of the given weight: each node's area counts once, where it is first met.
void cast(const Motion &m, double east, double north, double weight, double typical_m, NodeId serving,
          const NodeAt &map, double horizon, const ReachSettings &s, std::vector<Candidate> &out) {
  std::array<NodeId, 8> met{};
  size_t count = 0;
  double longest = s.slack_m + kFarthest * typical_m;
  for (int p = 0; p <= s.probes; p++) {
    double at = longest * p / s.probes;
    Position q = moved(m, east * at, north * at);
    NodeId n = map.node_at(q.lat, q.lon);
    if (n == kNoNode || n == serving || std::find(met.begin(), met.begin() + count, n) != met.begin() + count) continue;
    // The edge lies somewhere between this probe and the one before.
    double way = std::max(0.0, (p == 0 ? 0 : longest * (p - 0.5) / s.probes) - s.slack_m), share = way / typical_m;
    Candidate &c = entry_of(out, n);
    c.confidence += weight * std::exp(-share * share);
    c.earliest_s = std::min(c.earliest_s, share / kFarthest * horizon);
    c.median_s = std::min(c.median_s, share / kHalf * horizon);
    if (count < met.size()) met[count++] = n;
  }
}

}  // namespace

std::vector<Candidate> reach_set(const Motion &m, NodeId serving, const NodeAt &map, double horizon,
                                 const ReachSettings &s) {
  std::vector<Candidate> out;
  if (m.reports == 0 || horizon <= 0) return out;
  Heading h = heading_of(m, s);
  double total = 0, typical = s.scale * h.speed * horizon;
  for (int d = 0; d < s.directions; d++) {
    // The first ray runs ahead, so that the likeliest way is probed exactly.
    double angle = 2 * kPi * d / s.directions, ahead_e = h.sharpness > 0 ? h.east : 1, ahead_n = h.sharpness > 0 ? h.north : 0;
    double east = ahead_e * std::cos(angle) - ahead_n * std::sin(angle);
    double north = ahead_n * std::cos(angle) + ahead_e * std::sin(angle);
    double weight = std::exp(h.sharpness * std::cos(angle));
    total += weight;
    cast(m, east, north, weight, typical, serving, map, horizon, s, out);
  }
  for (Candidate &c : out) {
    c.confidence = std::min(1.0, c.confidence / total);
    c.rate_per_s = c.confidence / horizon;
  }
  std::erase_if(out, [&](const Candidate &c) { return c.confidence < s.min_confidence; });
  std::sort(out.begin(), out.end(), [](const Candidate &a, const Candidate &b) {
    return a.confidence != b.confidence ? a.confidence > b.confidence : a.node < b.node;
  });
  return out;
}

std::vector<Position> path(const Motion &m, double horizon, int steps) {
  std::vector<Position> out;
  if (m.reports == 0) return out;
  out.push_back({m.lat, m.lon});
  bool stays = telemetry::parked(m) || std::hypot(m.kalman.vx, m.kalman.vy) < kHeadingFromMps;
  for (int i = 1; i <= steps; i++) {
    double t = horizon * i / std::max(1, steps);
    Velocity v = velocity(m);
    out.push_back(stays ? Position{m.lat, m.lon} : moved(m, v.east * t, v.north * t));
  }
  return out;
}

}  // namespace vectorshard::predict
