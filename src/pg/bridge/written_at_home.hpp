// When sessions of this node have last changed a client at its home. A copy that comes afterwards must have the change, so that nobody finds his
// own undone. Lives in shared memory only: after a restart there is no session left that could miss its own.
#pragma once
#include <string_view>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::bridge {

/// Changes reach live holders within this time, or the holder is in trouble.
constexpr int64 kOwnChangesUs = 60000000;

/// A transaction that changed `client` at its home, or may have, has ended there; its lock on the client (client_lock.hpp) is still held.
void note_written_at_home(std::string_view client) noexcept;

/// The time of the last such note on the steady clock, in microseconds; 0: none since the server started. Clients share 1024 places, so it may
/// be a later time that is another's.
int64 written_at_home_us(std::string_view client);

}  // namespace vectorshard::bridge
