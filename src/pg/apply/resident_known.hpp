// Clients that earlier batches found resident on this node, so that a batch need not look each of them up. It may forget
// at any time; it must never remember a client that has begun to leave.
#pragma once
#include <string>

#include "core/base/ids.hpp"

namespace vectorshard::apply {

/// True if `client` is resident and not leaving. Call with RowExclusiveLock on the tables whose rows are to be merged:
/// whoever lets a client leave marks it, moves the eviction epoch, then waits for the holders of that lock.
bool known_resident(const ClientName &client);
/// A committed row of `resident` said so under a snapshot taken with that lock held. Ignored once this transaction has
/// written anything, for then the row may be its own and be rolled back.
void remember_resident(const ClientName &client);

}  // namespace vectorshard::apply
