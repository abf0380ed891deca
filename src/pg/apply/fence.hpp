// The fence: no writer writes rows of a client that is not resident here, or is leaving.
#pragma once
#include <string_view>

namespace vectorshard::apply {

/// Checks residency of `client` for a writer that already holds RowExclusiveLock on the table: once per client and
/// transaction, and again when the eviction epoch moved. `may_fetch` (INSERT): a client that is not resident is made
/// so. Raises 40001 for a client that leaves, and for one that is not resident if it may not be fetched.
void fence(std::string_view client, bool may_fetch);

}  // namespace vectorshard::apply
