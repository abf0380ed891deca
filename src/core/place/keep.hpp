// What a node copies in, keeps and lets go. Pure rules for the holder worker: no clock of their own, times are seconds
// of one clock given by the caller. They never decide against invariant 6: who may be let go still asks the home.
#pragma once
#include <cstddef>
#include <map>

#include "core/base/ids.hpp"

namespace vectorshard::place {

/// A resident client as this node judges it.
struct HeldCopy {
  NodeId home = kNoNode;       // kNoNode: the home is not known here
  bool leaving = false;
  double since_s = 0;          // resident since
  double wished_until_s = 0;   // latest end of a wish for this node; 0: never wished
  bool under_way = false;      // a copy of it is being made: what was begun is finished, whatever is wished meanwhile
};

/// True if the copy may be let go: this is not its home, it is not under way, no wish keeps it, and `keep_s` have passed since the last wish
/// ended and since it came. An unknown home keeps it: nobody could confirm that it holds everything.
bool may_let_go(const HeldCopy &held, NodeId self, double now_s, double keep_s);

/// How many of `wanted` copies this node takes, with `resident` clients and `in_flight` copies under way.
size_t copies_admitted(size_t wanted, size_t resident, size_t in_flight, size_t max_copies);

/// Waiting before a peer that failed is tried again: doubles from `first_s` to `most_s`, forgotten on success.
class PeerBackOff {
 public:
  PeerBackOff(double first_s, double most_s) : first_s_(first_s), most_s_(most_s) {}
  bool ready(NodeId peer, double now_s) const;
  void failed(NodeId peer, double now_s);
  void succeeded(NodeId peer) { waits_.erase(peer); }
  /// When the first peer that waits is ready again; `none_s` if none waits.
  double next_ready_s(double none_s) const;

 private:
  struct Wait {
    double until_s = 0;
    double length_s = 0;
  };
  double first_s_;
  double most_s_;
  std::map<NodeId, Wait> waits_;
};

}  // namespace vectorshard::place
