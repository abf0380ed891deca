// Clients whose rows this transaction locks or changes although they are not in the local heap. What is remembered here
// ends with the transaction, or with the savepoint in which it began.
#pragma once
#include <string>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::read {

/// The client is locked or changed at its home: it does not become resident here until this transaction ends. Raises
/// 40001 if it has become resident meanwhile. Takes the client's shared lock.
void hold_elsewhere(const std::string &client);

/// True if hold_elsewhere() was called for the client, or for any (null), in this transaction.
bool is_held_elsewhere(const std::string *client);

/// The client is cold on this node, and is locked or changed: its rows come back into the heap, in this transaction.
/// Raises 40001 if somebody else has brought it back meanwhile.
void bring_back_here(const std::string &client);

}  // namespace vectorshard::read
