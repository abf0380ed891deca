// Tombstones of this node: reading and writing one, and the epoch that tells an INSERT whether any came meanwhile.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "utils/snapshot.h"
}

namespace vectorshard::apply {

/// Version of the tombstone of (table, key) as `snapshot` sees it; 0 if there is none.
Version tombstone_under(Snapshot snapshot, const std::string &table, const std::vector<std::string> &key);
/// As above under a fresh snapshot.
Version tombstone_now(const std::string &table, const std::vector<std::string> &key);
/// True if a fresh snapshot sees any tombstone of `table`.
bool any_tombstone(const std::string &table);

/// Records that (table, key) was deleted at `version`; an older tombstone is replaced, a newer one stays.
void write_tombstone(const std::string &table, const std::vector<std::string> &key, std::string_view client,
                     Version version);

/// The largest version that retention may already have collected: rows not newer than it are not inserted anew.
Version tombstone_horizon();

/// Moves on after each tombstone is stamped or received.
uint64 tombstone_epoch();
void bump_tombstone_epoch();

}  // namespace vectorshard::apply
