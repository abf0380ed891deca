// Who gets a change. Pure: the caller has looked up the client's home and holders and knows the active peers.
// A change goes straight to every other holder (freshness) and always to the home (completeness). What cannot be
// addressed is never dropped: it goes to kNoNode, which the shipper keeps as debt until the home is known.
#pragma once
#include <vector>

#include "core/base/ids.hpp"
#include "core/ship/types.hpp"

namespace vectorshard::ship {

/// What this node knows about where a client is.
struct ClientRoute {
  NodeId home = kNoNode;           // kNoNode: not known here (yet)
  std::vector<HolderRef> holders;  // state not gone; may contain this node
};

struct Target {
  NodeId peer = kNoNode;              // kNoNode: the home is not known or not active
  bool as_home = false;
  std::vector<HolderRef> shipped_to;  // filled only where as_home: this node and everyone who is sent the change
};

class Router {
 public:
  /// `peers`: the active nodes but this one, ascending.
  Router(NodeId self, std::vector<NodeId> peers);

  /// Where a change of this client goes. Never contains `self`, no peer twice.
  std::vector<Target> targets(const ClientRoute &route) const;
  /// Where a row without a client goes: to every peer.
  std::vector<Target> targets_of_all() const;
  bool active(NodeId node) const;
  const std::vector<NodeId> &peers() const { return peers_; }

 private:
  NodeId self_;
  std::vector<NodeId> peers_;
};

}  // namespace vectorshard::ship
