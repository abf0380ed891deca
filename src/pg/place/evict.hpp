// Letting one client go, by the handshake with its home (invariant 6). Never removes a row before the home of the
// current epoch has committed that it holds at least everything held here.
#pragma once
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "pg/bridge/link.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::place {

/// A client that may be let go, as read before it leaves.
struct Leaver {
  std::string client;
  NodeId home = kNoNode;
  int64_t epoch = 0;
  Generation generation = 0;
  int64_t bytes = 0;  // as they came
};

/// How it ended: evicted, or still resident and no longer leaving (why).
struct EvictEnd {
  bool evicted = false;
  int sqlstate = 0;
  Error why{};
};

/// Outside a transaction. `home` is a working link to the home. Takes at most some 100 ms plus the home's answers.
EvictEnd evict(const Leaver &leaver, bridge::Link &home);

/// The full state of a client, which is fenced here, to another node; all of it must be merged there. Outside a transaction.
Result<void> send_state(const std::string &client, bool as_home, bridge::Link &to);

}  // namespace vectorshard::place
