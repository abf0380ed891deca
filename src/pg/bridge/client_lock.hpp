// A lock per client for rare, short operations (a copy, an eviction, an open forwarded write), never for plain reads
// and writes. It is a PostgreSQL lock of class "advisory" in a key space of our own; released at transaction end.
#pragma once
#include <string_view>

namespace vectorshard::bridge {

/// Shared: an open forwarded write; the client does not become resident here while it is held.
void lock_client_shared(std::string_view client);
/// Exclusive: becoming resident, leaving. False at once if somebody holds it.
bool try_lock_client(std::string_view client);
/// Exclusive, waits.
void lock_client(std::string_view client);
/// True if this backend's transaction holds the shared lock: it has an open forwarded write of the client.
bool holds_client_shared(std::string_view client);

}  // namespace vectorshard::bridge
