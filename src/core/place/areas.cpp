// Node areas: see areas.hpp. Distances compare on a local plane, which is exact enough to tell the nearest site.
#include "core/place/areas.hpp"

#include <algorithm>
#include <cmath>

#include "core/telemetry/types.hpp"

namespace vectorshard::place {

namespace {

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

}  // namespace

NodeMap::NodeMap(std::vector<NodeSite> sites) : sites_(std::move(sites)) {
  std::sort(sites_.begin(), sites_.end(), [](const auto &a, const auto &b) { return a.node < b.node; });
  bool edge_lacks = std::any_of(sites_.begin(), sites_.end(), [](const NodeSite &s) {
    return !s.core && s.coverage.empty();
  });
  for (size_t i = 0; i < sites_.size(); i++) {
    const NodeSite &s = sites_[i];
    if (s.coverage.empty()) {
      if (!s.core || !edge_lacks) points_.push_back({s.lat, s.lon, s.node});
      continue;
    }
    Area a{i, 90, 180, -90, -180};
    for (const Ring &ring : s.coverage)
      for (const auto &p : ring) {
        a.south = std::min(a.south, p.lat);
        a.north = std::max(a.north, p.lat);
        a.west = std::min(a.west, p.lon);
        a.east = std::max(a.east, p.lon);
      }
    areas_.push_back(a);
  }
}

NodeId NodeMap::node_at(double lat, double lon) const {
  double cosine = std::cos(telemetry::radians(lat));
  auto squared = [&](double la, double lo) {
    double dx = wrapped(lo - lon) * cosine, dy = la - lat;
    return dx * dx + dy * dy;
  };
  NodeId best = kNoNode;
  double best_d = 1e300;
  for (const Area &a : areas_) {  // where coverages overlap, the nearest of those sites
    if (lat < a.south || lat > a.north || lon < a.west || lon > a.east) continue;
    const NodeSite &s = sites_[a.site];
    bool inside = false;
    for (const Ring &ring : s.coverage) inside ^= surrounds(ring, lat, lon);
    double d = squared(s.lat, s.lon);
    if (inside && d < best_d) {
      best_d = d;
      best = s.node;
    }
  }
  if (best != kNoNode) return best;
  for (const Point &p : points_) {
    double d = squared(p.lat, p.lon);
    if (d < best_d) {
      best_d = d;
      best = p.node;
    }
  }
  return best;
}

const NodeSite *NodeMap::site(NodeId node) const {
  auto it = std::lower_bound(sites_.begin(), sites_.end(), node,
                             [](const NodeSite &s, NodeId n) { return s.node < n; });
  return it != sites_.end() && it->node == node ? &*it : nullptr;
}

}  // namespace vectorshard::place
