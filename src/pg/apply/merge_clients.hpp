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

/// Debts of the home: for each client in `taken` (indices into batch.clients) that was sent to us as home, every other
/// holder that the sender did not ship to; after a sync that `changed` something, every other holder.
void forward_as_home(const ship::Batch &batch, const std::vector<uint32_t> &taken, bool changed);

/// Rows of `holder` that are about to be merged: a live residency, never seen before, of a client whose home is here
/// did not copy from us, so it is owed the whole client.
void owe_new_holders(const Group &holders);

}  // namespace vectorshard::apply
