// What other stages may ask of predict: the map of node areas, and which nodes a client may get to.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "core/place/areas.hpp"
#include "core/predict/reach_bound.hpp"
#include "core/predict/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// The areas of the active nodes, cached in this backend until a node changes. Needs an open transaction. Valid until
/// the next call.
const place::NodeMap &node_map();

/// The name of a node, "node 7" if the map does not have it.
std::string node_name(const place::NodeMap &map, NodeId node);

/// Registers shared memory; call from _PG_init.
void init();

/// For the navigator alone: learns from the report that `motion` took last, which this node served, and notes it in the
/// motion's trail. `lead_s`: how long a copy takes.
void learn(telemetry::Motion &motion, double lead_s);
/// For the navigator alone: a client that this node served until `left_s` came to another at `at_s` (clients' seconds), which is
/// the first that it came to, or a later one.
void learn_arrival(const telemetry::Trail &trail, NodeId to, double at_s, double lead_s, double left_s);
/// Nodes that the client may move to, by what was learned here; none if its position is not known.
std::vector<Candidate> forecast(const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map, double lead_s, double silent_s);

/// What the operator's own predictor says; none if there is none, or it failed or was too slow, which is logged. Needs an open
/// transaction. Raises nothing but what cancels the statement.
std::optional<std::vector<Candidate>> custom(std::string_view client, const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map,
                                             double horizon_s);
/// Nodes other than `serving`, likeliest first, by the predictor that is set. Times from the last report on, `silent_s` ago.
std::vector<Candidate> candidates(std::string_view client, const telemetry::Motion &motion, NodeId serving, const place::NodeMap &map, double lead_s,
                                  double silent_s = 0);

/// As far as clients get by the ways that this node has learned.
ReachBound learned_reach_bound();

/// What is certain without asking a predictor: no area of another node is nearer than `clear_m` (0: nothing is certain), and the
/// client is reckoned with `speed_mps` at most. `ahead_s`: how far any predictor looks beyond the lead.
struct Bounds {
  double clear_m = 0, speed_mps = 0, ahead_s = 0;
  /// It cannot get to another node's area: no predictor would name one.
  bool stays = false;
};
Bounds bounds(const telemetry::Motion &motion, NodeId serving, double lead_s);

/// How far to look ahead for a client whose copies take `lead_s`.
double horizon_s(const telemetry::Motion &motion, double lead_s);

}  // namespace vectorshard::predict
