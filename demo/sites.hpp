// Chooses where the edge nodes stand: k-means over the given sites, with a fixed seed, so that a run can be repeated.
#pragma once
#include <vector>

#include "geo.hpp"

namespace vectorshard::demo {

/// `count` cluster centres of `sites` (each site weighs the same), best of several starts; fewer if there are fewer
/// distinct sites. Sorted from north to south.
std::vector<Point> cluster_sites(const std::vector<Point> &sites, size_t count);

/// The mean of the points.
Point centroid(const std::vector<Point> &points);

}  // namespace vectorshard::demo
