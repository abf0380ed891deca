// Which clients may go to a store. Idle is measured by the row versions: the time since the newest write that reached
// any of the client's rows here, checkpoints of its motion included, or since it became resident, whichever is later.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/tier/packing.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// The part of WHERE that tells which rows `r` of resident (joined with `c` of client) may leave: this node ($1) is the
/// home and the only holder, the copy is complete, nobody wishes the client anywhere, no peer is owed changes of it.
extern const char kMayLeave[];

/// Finds idle clients round by round. Measuring a client costs a look at its rows, so one that was found active is not
/// measured again before it can be idle.
class IdleFinder {
 public:
  /// Clients idle for `idle_s` clients' seconds. Own transaction.
  std::vector<IdleClient> find(double idle_s);

 private:
  std::map<std::string, int64_t> not_before_us_;  // by the wall clock
};

}  // namespace vectorshard::tier
