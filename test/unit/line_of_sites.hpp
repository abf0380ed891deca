// Three sites on the equator, one degree of longitude apart: nodes 1, 2, 3 at 0, 1, 2, with borders at 0.5 and 1.5.
#pragma once
#include <vector>

#include "core/place/types.hpp"

namespace vectorshard {

inline std::vector<place::NodeSite> line_of_sites() {
  std::vector<place::NodeSite> sites;
  for (int i = 0; i < 3; i++) {
    place::NodeSite s;
    s.node = i + 1;
    s.lon = i;
    sites.push_back(s);
  }
  return sites;
}

}  // namespace vectorshard
