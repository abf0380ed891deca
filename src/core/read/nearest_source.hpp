// Which of the nodes that have a client's rows is to be asked for them.
#pragma once
#include <vector>

#include "core/base/ids.hpp"

namespace vectorshard::read {

struct Source {
  NodeId node = kNoNode;
  double rtt_s = 0;   // 0: not measured
  bool dead = false;  // it did not answer lately
};

/// True if no copy can be worth more than the home, so that nobody need look for one.
bool near_enough(const Source &home);

/// The node to ask; kNoNode if there is none. `home` may be kNoNode (it was asked in vain). Alive ones come first; a copy
/// may be behind its home, so it is asked only where it is at most half as far away, and nearer by a millisecond at least.
NodeId nearest_source(const Source &home, const std::vector<Source> &holders);

}  // namespace vectorshard::read
