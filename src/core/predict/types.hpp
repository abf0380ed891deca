// What prediction gives: candidate nodes with times and confidence, and a path. Times are clients' seconds from now.
#pragma once
#include <algorithm>

#include "core/base/ids.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// Which node serves a position. Implemented by place::NodeMap; prediction needs no more of the map than this.
class NodeAt {
 public:
  virtual ~NodeAt() = default;
  /// The node whose area the position lies in, kNoNode if none.
  virtual NodeId node_at(double lat, double lon) const = 0;
};

/// A node the client can get to. All times from the last report on.
struct Candidate {
  NodeId node = kNoNode;
  double earliest_s = 0;  // no sooner than this
  double median_s = 0;    // as likely before as after, if it goes there
  double confidence = 0;  // 0..1: that it gets there within the horizon
  double rate_per_s = 0;  // arrivals there for each second that a copy begun now is held, about the time when it is ready
  double soon_per_s = 0;  // the same for a copy that is there: on average until a new one could be
};

struct Position {
  double lat = 0;
  double lon = 0;
};

/// How far ahead to look beyond the time of a copy: a client that reports each minute may stand in another area a
/// minute from now, and nothing is learned in between.
inline double look_ahead_s(const telemetry::Motion &motion, double margin_s) {
  return std::max(margin_s, motion.interval_s);
}

}  // namespace vectorshard::predict
