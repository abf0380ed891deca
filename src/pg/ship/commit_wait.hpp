// Commits that wait until other nodes have them (vectorshard.durability). A backend that wrote rows of enrolled tables
// registers in shared memory before its commit record and waits after it, as synchronous replication does: when the
// transaction is committed nothing can be an error any more, so what is not known is a WARNING. The shipper answers.
#pragma once
#include <optional>
#include <vector>

#include "core/ship/durability.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::ship {

/// Registers the region and the commit callback. Called once, in the postmaster.
void init_commit_wait();

/// True if some backend waits: then the shipper is in a hurry.
bool commits_wait();
/// What the transaction's backend asked for, if it waits; the shipper will answer under the key `xid`.
std::optional<Demand> demand_of(TransactionId xid);
void answer(const Verdict &verdict);
/// Everything up to `read_to` was decoded: a commit before it that nobody saw wrote nothing that ships.
void answer_unseen(Lsn read_to);

}  // namespace vectorshard::ship
