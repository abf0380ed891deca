// Node areas: see areas.hpp. Distances compare on a local plane, which is exact enough to tell the nearest site.
#include "core/place/areas.hpp"

#include <algorithm>
#include <cmath>

#include "core/telemetry/types.hpp"

namespace vectorshard::place {

namespace {

constexpr size_t kFewPoints = 8;      // comparing all is as fast
constexpr double kWidestDegrees = 60;  // beyond, the plane of one cell is no plane
constexpr int kMostCells = 256;       // a side

/// True if a ray from the position crosses the ring an odd number of times.
bool surrounds(const Ring &ring, double lat, double lon) {
  bool inside = false;
  for (size_t i = 0, j = ring.size() - 1; i < ring.size(); j = i++) {
    const auto &a = ring[i], &b = ring[j];
    if ((a.lat > lat) != (b.lat > lat) && lon < (b.lon - a.lon) * (lat - a.lat) / (b.lat - a.lat) + a.lon)
      inside = !inside;
  }
  return inside;
}

double wrapped(double dlon) { return dlon > 180 ? dlon - 360 : dlon < -180 ? dlon + 360 : dlon; }

/// Squared distance in degrees of latitude, on the plane of `cosine`.
double squared(double dlat, double dlon, double cosine) {
  double dx = wrapped(dlon) * cosine;
  return dx * dx + dlat * dlat;
}

}  // namespace

NodeMap::NodeMap(std::vector<NodeSite> sites) : sites_(std::move(sites)) {
  std::sort(sites_.begin(), sites_.end(), [](const auto &a, const auto &b) { return a.node < b.node; });
  bool edge_lacks = std::any_of(sites_.begin(), sites_.end(), [](const NodeSite &s) {
    return !s.core && s.coverage.empty();
  });
  for (size_t i = 0; i < sites_.size(); i++) {
    const NodeSite &s = sites_[i];
    if (!s.coverage.empty())
      add_area(i);
    else if (!s.core || !edge_lacks)
      points_.push_back({s.lat, s.lon, s.node});
  }
  if (points_.size() > kFewPoints) build_raster();
}

void NodeMap::add_area(size_t site) {
  Area a{site, 90, 180, -90, -180};
  for (const Ring &ring : sites_[site].coverage)
    for (const auto &p : ring) {
      a.south = std::min(a.south, p.lat);
      a.north = std::max(a.north, p.lat);
      a.west = std::min(a.west, p.lon);
      a.east = std::max(a.east, p.lon);
    }
  areas_.push_back(a);
}

/// For each cell, the points that are nearest to some position in it: those that can be as near as the one is that is
/// nearest at worst. Without a raster (sites all over the world, or across 180 degrees) all points are compared.
void NodeMap::build_raster() {
  auto [s, n] = std::minmax_element(points_.begin(), points_.end(), [](auto &a, auto &b) { return a.lat < b.lat; });
  auto [w, e] = std::minmax_element(points_.begin(), points_.end(), [](auto &a, auto &b) { return a.lon < b.lon; });
  double height = std::max(n->lat - s->lat, 1e-4), width = std::max(e->lon - w->lon, 1e-4);
  Raster r;
  r.south = s->lat - height / 4;
  r.west = w->lon - width / 4;
  if (height > kWidestDegrees || width > kWidestDegrees || r.south < -85 || n->lat + height / 4 > 85 || r.west < -180 || e->lon + width / 4 > 180) return;
  r.rows = r.columns = std::clamp(static_cast<int>(8 * std::sqrt(static_cast<double>(points_.size()))), 16, kMostCells);
  r.rows_per_degree = r.rows / (1.5 * height);
  r.columns_per_degree = r.columns / (1.5 * width);
  double half_lat = 0.5 / r.rows_per_degree, half_lon = 0.5 / r.columns_per_degree;
  std::vector<double> least(points_.size());
  for (int row = 0; row < r.rows; row++)
    for (int column = 0; column < r.columns; column++) {
      double lat = r.south + (2 * row + 1) * half_lat, lon = r.west + (2 * column + 1) * half_lon;
      double c1 = std::cos(telemetry::radians(lat - half_lat)), c2 = std::cos(telemetry::radians(lat + half_lat));
      double narrow = std::min(c1, c2), wide = lat - half_lat < 0 && lat + half_lat > 0 ? 1 : std::max(c1, c2), best = 1e300;
      for (size_t i = 0; i < points_.size(); i++) {
        double dlat = std::fabs(points_[i].lat - lat), dlon = std::fabs(points_[i].lon - lon);
        best = std::min(best, squared(dlat + half_lat, dlon + half_lon, wide));
        least[i] = squared(std::max(0.0, dlat - half_lat), std::max(0.0, dlon - half_lon), narrow);
      }
      r.first.push_back(static_cast<uint32_t>(r.points.size()));
      for (size_t i = 0; i < points_.size(); i++)
        if (least[i] <= best) r.points.push_back(static_cast<uint32_t>(i));
    }
  r.first.push_back(static_cast<uint32_t>(r.points.size()));
  raster_ = std::move(r);
}

bool NodeMap::covers(const Area &a, double lat, double lon) const {
  if (lat < a.south || lat > a.north || lon < a.west || lon > a.east) return false;
  bool inside = false;
  for (const Ring &ring : sites_[a.site].coverage) inside ^= surrounds(ring, lat, lon);
  return inside;
}

NodeId NodeMap::covering(double lat, double lon) const {
  double cosine = std::cos(telemetry::radians(lat)), best_d = 1e300;
  NodeId best = kNoNode;
  for (const Area &a : areas_) {  // where coverages overlap, the nearest of those sites
    if (!covers(a, lat, lon)) continue;
    const NodeSite &s = sites_[a.site];
    double d = squared(s.lat - lat, s.lon - lon, cosine);
    if (d < best_d) {
      best_d = d;
      best = s.node;
    }
  }
  return best;
}

NodeId NodeMap::nearest(double lat, double lon) const {
  double best_d = 1e300;
  NodeId best = kNoNode;
  double row = (lat - raster_.south) * raster_.rows_per_degree, column = (lon - raster_.west) * raster_.columns_per_degree;
  bool within = row >= 0 && column >= 0 && row < raster_.rows && column < raster_.columns;
  size_t cell = within ? static_cast<size_t>(row) * static_cast<size_t>(raster_.columns) + static_cast<size_t>(column) : 0;
  const uint32_t *of_cell = within ? raster_.points.data() + raster_.first[cell] : nullptr;
  size_t count = within ? raster_.first[cell + 1] - raster_.first[cell] : points_.size();
  if (within && count == 1) return points_[*of_cell].node;
  double cosine = std::cos(telemetry::radians(lat));
  for (size_t i = 0; i < count; i++) {
    const Point &p = points_[within ? of_cell[i] : i];
    double d = squared(p.lat - lat, p.lon - lon, cosine);
    if (d < best_d) {
      best_d = d;
      best = p.node;
    }
  }
  return best;
}

NodeId NodeMap::node_at(double lat, double lon) const {
  NodeId node = areas_.empty() ? kNoNode : covering(lat, lon);
  return node != kNoNode ? node : nearest(lat, lon);
}

const NodeSite *NodeMap::site(NodeId node) const {
  auto it = std::lower_bound(sites_.begin(), sites_.end(), node,
                             [](const NodeSite &s, NodeId n) { return s.node < n; });
  return it != sites_.end() && it->node == node ? &*it : nullptr;
}

const NodeSite *NodeMap::site_named(std::string_view name) const {
  auto it = std::find_if(sites_.begin(), sites_.end(), [&](const NodeSite &s) { return s.name == name; });
  return it != sites_.end() ? &*it : nullptr;
}

}  // namespace vectorshard::place
