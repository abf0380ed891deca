// The picture of a run: sites and their areas, tracks, where copies were made ahead, hits and misses.
#pragma once
#include <string>
#include <vector>

#include "plan.hpp"
#include "summary.hpp"

namespace vectorshard::demo {

/// An SVG document.
std::string draw_map(const Plan &plan, const std::vector<Point> &nodes, Point core, const Summary &summary);

}  // namespace vectorshard::demo
