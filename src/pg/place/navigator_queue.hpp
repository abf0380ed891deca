// What wakes the navigator beside reports: accesses that missed, rows of other planners, policies. And what it counts.
// In shared memory, lost on a crash restart: wishes end by themselves, and the next report plans anew.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::place {

/// Navigator: the clients that queries missed since the last call, each once.
std::vector<std::string> take_missed();
/// Navigator: true once after policies changed (or the server started).
bool take_policies_changed();
/// The same for the holder.
bool take_policies_changed_for_holder();

/// While one lives, policies that this process changes tell the navigator nothing: who lets a client go does not want it planned
/// back at once.
struct UntoldPolicies {
  UntoldPolicies();
  ~UntoldPolicies();
  UntoldPolicies(const UntoldPolicies &) = delete;
  UntoldPolicies &operator=(const UntoldPolicies &) = delete;
};

/// Navigator: replaces the nodes that do not answer, for everybody who plans.
void note_dead_nodes(const std::vector<std::string> &nodes);
bool noted_dead(NodeId node);

struct PlaceCounters {
  uint64_t copies = 0;  // that became live on this node
  uint64_t wasted = 0;  // of those that ended: no report came while they lasted
  uint64_t wishes = 0;  // rows that the navigator wrote
};
PlaceCounters place_counters();
void count_wishes(uint64_t rows);

}  // namespace vectorshard::place
