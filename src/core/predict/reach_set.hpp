// The kinematic reach set: every node whose area the client can get to within a horizon, by heading-weighted speed.
// Needs no history: a motion and a map. Rays in all directions are probed for the areas they run through. How likely a
// client takes a ray falls with the angle to its heading; how far it gets along one is Rayleigh-distributed round the
// way it makes at its speed and recent pace. Both shapes fit what cabs do within a minute, at any speed.
#pragma once
#include <vector>

#include "core/predict/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// Tuned on 90 cabs of San Francisco and 25 sites (test/unit/place_replay_test.cpp); docs/reference.md tells the trade.
struct ReachSettings {
  double slack_m = 50;           // GPS error and the edge of an area
  double floor_mps = 1;          // a client that stands may start
  double pace_share = 0.5;       // of the speed to reckon with: the pace of the last minutes, not the last speed
  double scale = 1.1;            // typical way / (speed x time)
  double turn = 1.2;             // how much likelier ahead is than back: exp(turn * cos(angle))
  double min_confidence = 0.1;   // less likely nodes are no candidates
  int directions = 16;
  int probes = 6;                // along a ray
};

/// Candidates within `horizon_s`, most confident first, without `serving`. Empty for a client
/// whose position is not known.
std::vector<Candidate> reach_set(const telemetry::Motion &motion, NodeId serving, const NodeAt &map, double horizon_s,
                                 const ReachSettings &settings = {});

/// Predicted positions from the last report to the horizon, `steps` + 1 of them; a parked client stays. None
/// if the position is not known.
std::vector<Position> path(const telemetry::Motion &motion, double horizon_s, int steps);

}  // namespace vectorshard::predict
