// The nodes of a simulated fabric: sites, each serving what is nearest to it, or the cells of a grid.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/place/types.hpp"

namespace vectorshard::sim {

struct Nodes {
  std::unique_ptr<predict::NodeAt> map;
  std::vector<place::NodeSite> sites;  // node i + 1 at index i
  size_t count() const { return sites.size(); }
};

/// CSV with columns lat, lon.
Nodes read_sites(const std::string &path);
/// "RxC:lat0,lat1,lon0,lon1": R rows from lat0 northwards, C columns from lon0 eastwards; what lies outside belongs to the
/// nearest cell of the border.
Nodes grid(const std::string &spec);
Nodes from_sites(std::vector<place::NodeSite> sites);

}  // namespace vectorshard::sim
