// Routing: see router.hpp. It keeps no state but the list of peers; a wrong answer here loses freshness, never rows,
// as long as the home (or kNoNode) is among the targets of every client that is not at home here.
#include "core/ship/router.hpp"

#include <algorithm>

namespace vectorshard::ship {

Router::Router(NodeId self, std::vector<NodeId> peers) : self_(self), peers_(std::move(peers)) {
  std::sort(peers_.begin(), peers_.end());
  std::erase(peers_, self_);
}

bool Router::active(NodeId node) const { return std::binary_search(peers_.begin(), peers_.end(), node); }

std::vector<Target> Router::targets(const ClientRoute &route) const {
  std::vector<Target> out;
  std::vector<HolderRef> shipped_to;
  for (const HolderRef &h : route.holders) {
    if (h.node == self_ || active(h.node)) shipped_to.push_back(h);
    if (h.node == self_ || h.node == route.home || !active(h.node)) continue;
    if (std::none_of(out.begin(), out.end(), [&](const Target &t) { return t.peer == h.node; }))
      out.push_back({h.node, false, {}});
  }
  if (route.home == self_) return out;
  if (route.home != kNoNode && active(route.home))
    out.push_back({route.home, true, std::move(shipped_to)});
  else
    out.push_back({kNoNode, true, {}});
  return out;
}

std::vector<Target> Router::targets_of_all() const {
  std::vector<Target> out;
  for (NodeId peer : peers_) out.push_back({peer, false, {}});
  return out;
}

}  // namespace vectorshard::ship
