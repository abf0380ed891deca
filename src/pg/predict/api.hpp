// What other stages may ask of predict: the map of node areas, and which nodes a client may get to.
#pragma once
#include <vector>

#include "core/place/areas.hpp"
#include "core/predict/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// The areas of the active nodes, cached in this backend until a node changes. Needs an open transaction. Valid until
/// the next call.
const place::NodeMap &node_map();

/// The name of a node, "node 7" if the map does not have it.
std::string node_name(const place::NodeMap &map, NodeId node);

/// How far to look ahead for a client whose copies take `lead_s`.
double horizon_s(const telemetry::Motion &motion, double lead_s);

}  // namespace vectorshard::predict
