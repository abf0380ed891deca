// A lock per client for rare, short operations (a copy, an eviction, an open forwarded write), never for plain reads
// and writes. It is a PostgreSQL lock of class "advisory" in a key space of our own; released at transaction end.
#pragma once
#include <set>
#include <string>
#include <string_view>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::bridge {

/// For what many clients share: equal names, equal hashes.
uint64 client_hash(std::string_view client);

/// Shared: an open forwarded write; the client does not become resident here while it is held.
void lock_client_shared(std::string_view client);
/// Exclusive: becoming resident, leaving. False at once if somebody holds it.
bool try_lock_client(std::string_view client);
/// The same beyond the end of the transaction, for a copy that is under way: forwarded writes of the client wait until let_client_go(), or until
/// this process has ended. False at once if somebody else holds it. Once for each client.
bool try_keep_client(std::string_view client);
void let_client_go(std::string_view client);
/// Exclusive, waits.
void lock_client(std::string_view client);
/// True if this backend's transaction holds the shared lock: it has an open forwarded write of the client.
bool holds_client_shared(std::string_view client);

/// Who must be told of a client's changes, at its home: held until transaction end, waits. A transaction that merges
/// changes takes it shared before it reads the holders; one that makes a holder known takes it exclusively before it
/// commits. So each change is either in what the new holder copies or is owed to it. Clients share few locks: taken last
/// in a transaction, all at once.
void lock_holders_of(const std::set<std::string> &read, const std::set<std::string> &changed);

}  // namespace vectorshard::bridge
