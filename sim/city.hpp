// A made-up city for runs without data. Its figures say that the program works, and nothing else.
#pragma once
#include "nodes.hpp"
#include "trace.hpp"

namespace vectorshard::sim {

/// The demo's city: `clients` of them for three hours, and its 25 sites.
Trace city(size_t clients);
Nodes city_sites();

}  // namespace vectorshard::sim
