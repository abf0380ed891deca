// The map of node areas: which node serves a position. Immutable; built anew when nodes change.
// A coverage polygon wins over nearness; nodes without one share what is left by nearest site. A core node without
// coverage takes part only if no edge node lacks coverage.
#pragma once
#include <vector>

#include "core/place/types.hpp"

namespace vectorshard::place {

class NodeMap : public predict::NodeAt {
 public:
  NodeMap() = default;
  explicit NodeMap(std::vector<NodeSite> sites);

  NodeId node_at(double lat, double lon) const override;
  const std::vector<NodeSite> &sites() const { return sites_; }
  /// Null if there is no such node.
  const NodeSite *site(NodeId node) const;

 private:
  struct Area {
    size_t site;
    double south, west, north, east;  // bounding box
  };
  struct Point {
    double lat, lon;
    NodeId node;
  };
  std::vector<NodeSite> sites_;
  std::vector<Area> areas_;
  std::vector<Point> points_;
};

}  // namespace vectorshard::place
