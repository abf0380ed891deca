// The map of node areas: which node serves a position. Immutable; built anew when nodes change.
// A coverage polygon wins over nearness; nodes without one share what is left by nearest site. A core node without
// coverage takes part only if no edge node lacks coverage. A raster over the sites tells for each of its cells which of
// them can be the nearest there, so that a look-up compares two or three and not all.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/place/types.hpp"

namespace vectorshard::place {

class NodeMap : public predict::NodeAt {
 public:
  NodeMap() = default;
  explicit NodeMap(std::vector<NodeSite> sites);

  NodeId node_at(double lat, double lon) const override;
  /// Within so many metres of the position the same node serves as there; never more than the truth, and 0 where nothing is
  /// known. Looks at all sites and edges: see Clearance.
  double clear_of_others_m(double lat, double lon) const;
  const std::vector<NodeSite> &sites() const { return sites_; }
  /// Null if there is no such node.
  const NodeSite *site(NodeId node) const;
  const NodeSite *site_named(std::string_view name) const;

 private:
  struct Area {
    size_t site;
    double south, west, north, east;  // bounding box
  };
  struct Point {
    double lat, lon;
    NodeId node;
  };
  /// Cells over the box of the points and half as much again around it; cell i has the points first[i] .. first[i + 1].
  struct Raster {
    int rows = 0, columns = 0;
    double south = 0, west = 0, rows_per_degree = 0, columns_per_degree = 0;
    std::vector<uint32_t> first;
    std::vector<uint32_t> points;
  };

  void add_area(size_t site);
  void build_raster();
  bool covers(const Area &area, double lat, double lon) const;
  NodeId covering(double lat, double lon) const;
  NodeId nearest(double lat, double lon) const;

  std::vector<NodeSite> sites_;
  std::vector<Area> areas_;
  std::vector<Point> points_;
  Raster raster_;
};

}  // namespace vectorshard::place
