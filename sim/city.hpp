// A made-up city for runs without data. Its figures say that the program works, and nothing else.
#pragma once
#include "../demo/trace.hpp"
#include "nodes.hpp"
#include "trace.hpp"

namespace vectorshard::sim {

/// The demo's city: `clients` of them for three hours, and its 25 sites.
Trace city(size_t clients);
Nodes city_sites();

/// What the demo has read or made up, as the simulator takes it.
Fix fix_of(const demo::Report &report, uint32_t client);
Nodes nodes_at(const std::vector<demo::Point> &places);

}  // namespace vectorshard::sim
