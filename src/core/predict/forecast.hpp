// The forecast: to which nodes a client may move, and at what rate. It takes a client's ways from those of others of its kind
// (Ways), and corrects them by what clients did from the same place before (Crowd). Everything is learned online: a report is
// forecast from first, then learned. No clock, no locks; one of them serves all clients of a node.
#pragma once
#include <vector>

#include "core/predict/crowd.hpp"
#include "core/predict/types.hpp"
#include "core/predict/ways.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

struct ForecastSettings {
  double window_s = 30;   // of arrivals, at least: what a copy begun now is meant for; a rate needs some time to be told
  double cell_m = 150;    // of the crowd's places
  double trust_s = 600;   // so much time seen at a place counts as much as the ways
  size_t places = 1024;   // of the crowd
};

class Forecast {
 public:
  explicit Forecast(const ForecastSettings &settings = {}) : s_(settings), crowd_(settings.places) {}

  /// After a report was taken and observed: learns the way that the client has come, and notes where it is now in its trail.
  /// `lead_s`: how long a copy takes.
  void learn(telemetry::Motion &motion, double lead_s);
  /// A client moved to another node: learned for the place where a copy should have been begun.
  void arrived(const telemetry::Trail &trail, NodeId to, double at_s, double lead_s);
  /// Nodes other than `serving`, most likely first; see Candidate::rate_per_s. Empty if the position is not known.
  std::vector<Candidate> candidates(const telemetry::Motion &motion, NodeId serving, const NodeAt &map, double lead_s) const;

 private:
  struct Reach;
  Reach reach(const telemetry::Motion &motion, double lead_s) const;
  void learn_way(telemetry::Anchor &from, const telemetry::Motion &motion, double horizon_s);
  std::vector<Candidate> by_ways(const telemetry::Motion &motion, NodeId serving, const NodeAt &map, const Reach &reach) const;
  void correct_by_crowd(const telemetry::Motion &motion, NodeId serving, const Reach &reach, std::vector<Candidate> &out) const;

  ForecastSettings s_;
  Ways ways_;
  Crowd crowd_;
};

}  // namespace vectorshard::predict
