// The area nearest to each site, within a rectangle: what the fabric takes for a node's area when none is given.
// For drawing; quadratic in the number of sites.
#pragma once
#include <cstddef>
#include <vector>

namespace vectorshard::demo {

/// A point of the picture, in pixels.
struct Pixel {
  double x = 0, y = 0;
};

/// For each site the corners of its cell, clipped to the rectangle (0, 0) to `size`.
std::vector<std::vector<Pixel>> voronoi(const std::vector<Pixel> &sites, Pixel size);

}  // namespace vectorshard::demo
