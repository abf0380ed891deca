// What the router needs to know, read from the tables of the fabric under a fresh snapshot. Reading later than the change
// committed is safe (docs/architecture.md, "Routing"); reading earlier would not be.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/ship/router.hpp"

namespace vectorshard::ship {

/// A node as the shipper must find it when it connects.
struct PeerRow {
  NodeId node = kNoNode;
  std::string name;
  std::string uuid;
  int64_t incarnation = 0;
};

/// The active nodes but this one, ascending. Needs an open transaction.
std::vector<PeerRow> read_peers();

/// True if this node is leaving the fabric. Needs an open transaction.
bool is_leaving();
/// The same, in a transaction of its own if none is open.
bool leaving_now();

/// Homes and holders of the clients, as this node knows them, under the active snapshot.
std::map<ClientName, ClientRoute> read_routes(const std::set<ClientName> &names);

}  // namespace vectorshard::ship
