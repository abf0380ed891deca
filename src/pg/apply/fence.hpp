// The fence: no writer writes rows of a client that is not resident here, or is leaving.
#pragma once
#include <string_view>

namespace vectorshard::apply {

/// Checks residency of `client` for a writer that already holds RowExclusiveLock on the table: once per client and
/// transaction, for who lets it go waits for that lock. `may_fetch` (INSERT): a client that is not resident is made
/// so. Raises 40001 for a client that leaves, and for one that is not resident if it may not be fetched.
void fence(std::string_view client, bool may_fetch);

/// The caller has just found `client` resident here and not leaving, and holds a lock that make_leave waits for: fence() looks no more.
void note_fenced(std::string_view client);

}  // namespace vectorshard::apply
