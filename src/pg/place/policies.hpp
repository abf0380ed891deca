// Policies as the tables have them: for the planner, and for the holder, which itself refuses what they forbid.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/place/areas.hpp"
#include "core/place/types.hpp"
#include "pg/bridge/spi.hpp"

namespace vectorshard::place {

/// What binds the planner of this node, by client; `map` tells which node serves the place of a hint.
std::map<std::string, std::vector<Policy>> policies_of(bridge::Spi &spi, const bridge::Param &clients, const NodeMap &map);

/// A client that this node serves, to tell which geofences it is in.
struct Located {
  std::string client;
  predict::Position at, ahead;  // by its last report; when a copy that is begun now is ready
  std::vector<Policy> *policies = nullptr;
};
/// A client came into the geofence of a policy, or left it: a row to be written, by which all nodes know.
struct FenceCrossing {
  std::string client, policy;
  bool inside = false;
};
/// Sets the regions with geofences among each client's policies by where it is, and gives what changed.
std::vector<FenceCrossing> apply_fences(bridge::Spi &spi, const std::vector<Located> &clients);
void write_crossings(bridge::Spi &spi, const std::vector<FenceCrossing> &crossings);
/// When the newest geofence began to hold, PostgreSQL's microseconds; 0: there is none.
int64_t newest_fence(bridge::Spi &spi);

/// For the navigator alone, now and then: clients that nobody serves and that lack copies which a policy asks for, and
/// when to look again. Wishes home what a policy keeps hot. `changed`: a policy was given or ended since.
struct PoliciesDue {
  std::vector<std::string> clients;
  double again_s = 0;  // from now on
};
PoliciesDue policies_due(bridge::Spi &spi, size_t most, bool changed);
/// Active nodes that answer, as the navigator last saw them.
std::vector<NodeId> live_nodes(const NodeMap &map);

/// Clients, each with the policy that keeps it off this node now.
using Bans = std::map<std::string, std::string, std::less<>>;
Bans bans_here(bridge::Spi &spi, const std::vector<std::string> &clients);

/// Raises if a policy keeps the client off this node now; not if this is its home, which keeps what it has. Needs
/// rights on the fabric's tables.
void require_allowed_here(std::string_view client);
Error ban_error(std::string_view client, const std::string &policy);

}  // namespace vectorshard::place
