// What other stages may ask of ship: the full state of a client as a batch, and debt.
#pragma once
#include <string>
#include <string_view>

#include "core/base/ids.hpp"
#include "core/ship/types.hpp"

namespace vectorshard::ship {

/// All rows and tombstones of `client` in all vector-shard tables, under the active snapshot, as a batch of `kind`.
/// The caller takes the snapshot after wait_decoded_visible(). Binary send format, current schema.
Batch export_client(std::string_view client, BatchKind kind);

/// Waits until every transaction that the shipper has decoded so far is visible to a new snapshot, so that a copy
/// read afterwards lacks nothing that was routed before. In a transaction.
void wait_decoded_visible();
/// The shipper has no connection to `node`, and failed to make one lately. It may succeed by now.
bool known_dead(NodeId node);

/// Records durably, in the current transaction, that `peer` lacks changes of `client` (or, with client empty, of the
/// reference table `table`). The shipper syncs it when the peer answers. Idempotent.
void add_debt(NodeId peer, std::string_view client, const std::string &table = {});

/// Merges a `holder` row that a peer wrote about itself and hands over directly (with a copy request), before the
/// stream brings it: (client, node, generation, state, version). Idempotent; older versions lose.
void learn_holder(std::string_view client, NodeId node, Generation generation, const std::string &state,
                  Version version);

/// Wakes the shipper and has the peers flush what they answered: somebody waits for what was written here to be durable
/// there.
void want_confirmed();

/// Compares some clients of this home with their holders, check_rate a minute, and mends what differs. Outside a
/// transaction; an error is logged. May take some seconds when something differs. Gives the milliseconds to the next call.
long check_round();
/// The current transaction wrote a row of an enrolled table: its commit may have to wait (vectorshard.durability).
void note_row_written();

/// The current transaction merges what a peer sent, which its shipper passes over: the commit need not wake it. Who adds a
/// debt wakes it all the same.
void note_came_from_peer();

/// All that was committed here before this time (microseconds since 2000) is acknowledged by every peer, or in debt.
int64_t delivered_until();

/// A batch of `node` came whose sender's WAL ended at `position` when it was made: what that node must not fall behind.
/// Counts only in a session that has greeted as that node.
void note_position(NodeId node, uint64_t position) noexcept;
/// Makes what note_position() collected durable, in the current transaction. Now and then.
void keep_positions();

/// Registers the shared region and the commit callback that wakes the shipper. Called once, in the postmaster.
void init();

}  // namespace vectorshard::ship
