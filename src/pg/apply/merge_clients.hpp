// Whether this node takes a client's rows, and what it owes others for them as the client's home.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/ship/types.hpp"
#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// Nothing if rows of `client` are to be merged here, else the refusal. The caller holds RowExclusiveLock on the tables.
/// As home of a client that is nowhere here (neither resident nor cold) this makes it resident: a birth elsewhere.
std::optional<ship::Refusal> decide_client(const ClientName &client);

/// Of rows of `holder` that are about to be merged, the live residencies never seen before of clients whose home is
/// here: they did not copy from us, so they are owed the whole client.
struct NewHolder {
  ClientName client;
  NodeId node = kNoNode;
};
std::vector<NewHolder> new_holders(const Group &holders);

/// Of rows of `client` that are about to be merged, those that bring another home than is known here, or the first.
std::vector<ClientName> moved_homes(const Group &clients);
/// What this node owes for them once they are merged, where they are resident here.
void owe_after_moves(const std::vector<ClientName> &moved);

/// Debts of the home, at the end of a merge: for each client in `taken` (indices into batch.clients) whose home is here,
/// every other holder that the sender did not ship to (all, if it did not know that the home is here); after a sync that
/// `changed` something, every other holder; and the new holders. What was sent to us as home when we are it no more is
/// owed to the home that is.
void owe_as_home(const ship::Batch &batch, const std::vector<uint32_t> &taken, bool changed,
                 const std::vector<NewHolder> &fresh);

}  // namespace vectorshard::apply
