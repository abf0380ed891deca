// Made-up people who go about the same places day by day, for runs without data. Its figures say how policies compare where
// clients have habits, and nothing about a place on earth.
#pragma once
#include "nodes.hpp"
#include "trace.hpp"

namespace vectorshard::sim {

/// `people` of them for four weeks, each reporting every 1 to 5 s while it is on its way.
Trace commuters(size_t people);
/// A grid of 10 x 10 over where they live.
Nodes commuters_grid();

}  // namespace vectorshard::sim
