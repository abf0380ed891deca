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
  double window_s = 10;  // of arrivals, at least: what a copy begun now is meant for; a rate needs some time to be told
  double window_of_lead = 0.3;  // and so much of the lead: what comes later is known less exactly
  double ways_lead_s = 60;      // for a lead as long as this the ways count half, for longer ones less: far off they are a guess
  double cell_m = 150;   // of the crowd's places
  double trust_s = 600;  // so much time seen at a place counts as much as the ways
  double habit_moves = 1;      // so many moves of the client itself count as much as everybody's,
  double habit_lead_s = 60;    // when the lead is much longer than this; for shorter ones, more
};

class Forecast {
 public:
  /// Learns into `ways` and `crowd`, whose memory the caller owns.
  Forecast(Ways *ways, Crowd crowd, const ForecastSettings &settings = {}) : s_(settings), ways_(ways), crowd_(crowd) {}

  /// After a report was taken and observed: learns the way that the client has come, and notes where it is now in its trail.
  /// The same report again changes nothing. `lead_s`: how long a copy takes.
  void learn(telemetry::Motion &motion, double lead_s);
  /// The client was next heard of on another node: the time since its last stand, which is on this one, counts.
  void left(const telemetry::Trail &trail, double at_s);
  /// A client moved to `to` within its session. Learned for the place where a copy should have been begun, which may be several
  /// nodes back, and for those since, as far as they are in `trail` as places of `self`, whose memory this is. `left_s`: when the
  /// client left the last of them, if the trail does not tell.
  void arrived(const telemetry::Trail &trail, NodeId self, NodeId to, double at_s, double lead_s, double left_s = 1e300);

  /// What was learned that concerns this client: small, so that it can be taken out under a lock.
  struct Learned {
    Ways::Pool ways;
    Crowd::Place place;  // key 0: nothing is known of it
  };
  Learned learned(const telemetry::Motion &motion) const;
  /// Nodes other than `serving`, most likely first; see Candidate::rate_per_s. Of a client whose position
  /// is not known, by its habits alone.
  /// `silent_s`: since the last report, from which all times are counted.
  static std::vector<Candidate> candidates(const telemetry::Motion &motion, NodeId serving, const NodeAt &map, double lead_s,
                                           const Learned &learned, const ForecastSettings &settings = {}, double silent_s = 0);

 private:
  void learn_way(telemetry::Anchor &from, const telemetry::Motion &motion, double horizon_s);

  ForecastSettings s_;
  Ways *ways_;
  Crowd crowd_;
};

}  // namespace vectorshard::predict
