// Where the rows of clients are that are not in the local heap, as far as this node knows.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "utils/snapshot.h"
}

namespace vectorshard::read {

/// A node that may be the home of clients.
struct HomeNode {
  NodeId node = kNoNode;
  std::string name;
};

/// Named clients by where their rows are. A client that is resident, or that no node knows, is in none of the lists.
struct Whereabouts {
  std::vector<std::string> cold;                           // in segments of this node
  std::map<NodeId, std::vector<std::string>> homes;        // at other nodes
};

/// One read-only query under `snapshot`, with the extension's rights; and a snapshot of now.
bridge::Rows read_fabric(const std::string &sql, const std::vector<bridge::Param> &params, Snapshot snapshot);
Snapshot latest();

/// Homes of clients by the table `client` under a fresh snapshot; unknown ones are missing.
std::map<std::string, NodeId> known_homes(const std::vector<std::string> &clients);

/// Where `clients` are, whose residency was already denied under `snapshot`. Clients that this node does not know are
/// looked up at the nearest core node, unless this is one. With read_scope home raises for a client whose home is
/// another node; always 40001 for one whose home this node became after `snapshot`. A core node that cannot be reached is passed over; if none can: report_unreachable().
Whereabouts find_clients(const std::vector<std::string> &clients, Snapshot snapshot, bool all_wanted);

/// Raises 40001: the snapshot is of before this node became the client's home, and has none of its rows.
[[noreturn]] void raise_moved_here(const std::string &client);

/// The other active nodes where `clients` are live, as far as this node has heard, homes among them.
std::map<std::string, std::vector<NodeId>> live_holders(const std::vector<std::string> &clients);

/// The other active nodes that can be homes: core nodes, and nodes that some client has for home.
std::vector<HomeNode> other_homes();

/// Clients that are resident here, as `snapshot` sees it, by their home, if that is another node. Empty if there are so
/// many that naming them costs more than it saves.
std::map<NodeId, std::vector<std::string>> residents_by_home(Snapshot snapshot);

/// With on_unreachable = error raises; with warn, warns once for each node and transaction and says how many clients are
/// not covered. `all_wanted`, for rows that are to be written or locked: raises whatever the setting says, since a write
/// that leaves rows out is no write. `clients`: how many it concerns; nullopt: all that have the node for home and are
/// not resident here.
void report_unreachable(NodeId node, const Error &error, bool all_wanted, std::optional<size_t> clients);

}  // namespace vectorshard::read
