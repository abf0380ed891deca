// How far positions are from the areas of other nodes: whoever cannot get that far needs no prediction. Lower bounds, never
// more than the truth. A grid over the map tells for most positions at one look.
#pragma once
#include <vector>

#include "core/place/areas.hpp"

namespace vectorshard::place {

class Clearance {
 public:
  Clearance() = default;
  explicit Clearance(const NodeMap &map);

  /// Within so many metres of the position `serving` serves all that lies there; 0 if another node serves the position itself.
  /// Once `enough_m` are certain it is not looked closer. `map`: the one that this was made of.
  double metres(const NodeMap &map, double lat, double lon, NodeId serving, double enough_m) const;

 private:
  struct Cell {
    NodeId node = kNoNode;  // that serves its middle
    float clear_m = 0;      // of the middle
  };
  int rows_ = 0, columns_ = 0;
  double south_ = 0, west_ = 0, rows_per_degree_ = 0, columns_per_degree_ = 0;
  bool covered_ = false;  // by polygons: a close look takes all their edges
  std::vector<Cell> cells_;
  std::vector<float> widths_;  // of a degree of longitude in each row, in metres, at most
};

}  // namespace vectorshard::place
