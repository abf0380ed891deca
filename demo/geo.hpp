// Positions on the ground, for distances within one city: a local flat projection is exact enough there.
// Never used by the extension, which has PostGIS for this.
#pragma once
#include <cmath>
#include <cstddef>
#include <vector>

namespace vectorshard::demo {

constexpr double kMetersPerDegree = 111320.0;

struct Point {
  double lat = 0;
  double lon = 0;
};

/// Metres between two points some kilometres apart.
inline double distance_m(Point a, Point b) {
  const double east = (b.lon - a.lon) * kMetersPerDegree * std::cos((a.lat + b.lat) / 2 * M_PI / 180);
  return std::hypot(east, (b.lat - a.lat) * kMetersPerDegree);
}

/// `from` moved by metres east and north.
inline Point moved(Point from, double east_m, double north_m) {
  return {from.lat + north_m / kMetersPerDegree,
          from.lon + east_m / (kMetersPerDegree * std::cos(from.lat * M_PI / 180))};
}

/// Index of the point of `sites` nearest to `at`; sites must not be empty.
inline size_t nearest(const std::vector<Point> &sites, Point at) {
  size_t best = 0;
  for (size_t i = 1; i < sites.size(); i++)
    if (distance_m(sites[i], at) < distance_m(sites[best], at)) best = i;
  return best;
}

}  // namespace vectorshard::demo
