// Tables of consistency `home`: their rows are shipped and copied like others, but read and written at the client's home alone. A heap's
// rows count under a snapshot by which this node is the home of their client; all others come through the child, from the home. As
// with residency both sides of the query ask the same question under the same snapshot, so a home that moves can neither hide a row
// nor show an old one.
#pragma once
#include <string>
#include <vector>

#include "pg/read/whereabouts.hpp"

namespace vectorshard::read {

/// Installs the planner's hook that puts the condition on heaps. Called once, at library load.
void init_home_tables();

/// True if `relid` is a table of consistency home.
bool is_home_table(Oid relid);

/// Whether the heap's rows of `client` in such a table count under `snapshot`. Raises 55000 while it is not certain which node this is.
bool at_home(Snapshot snapshot, const std::string &client);

/// Where `clients` are whose heap rows do not count under `snapshot`: cold here, or at other homes. Waits for a home that just moves away.
/// Raises 40001 if one has moved here since the snapshot was taken, and if some core node that may know a client cannot be reached. `locks`: what is asked
/// for is locked or changed there, so that this transaction goes on asking that node: it may have passed the question on, and would wait for itself.
Whereabouts find_at_homes(const std::vector<std::string> &clients, Snapshot snapshot, bool locks);

/// The home of a client by what is known now, this node included; kNoNode: no core node knows the client. Waits and raises as above.
NodeId home_of(const std::string &client);

/// Where a client that no node knows is to be born: this node if it is a core node, else the nearest core node that policies allow.
NodeId birthplace(const std::string &client);

/// This transaction goes on asking `node` about `client`.
void keep_asking(const std::string &client, NodeId node);
/// Raises 40001 if it does so although the client's rows are here now: the home moved here behind its back.
void require_not_asked(const std::string &client);

/// For a scan of all clients: raises 40001 if one of this node's homes is just moving under `snapshot`, or this transaction still asks a former home.
void require_settled_homes(Snapshot snapshot);

}  // namespace vectorshard::read
