// The laws of merging, as pure functions: which of two states of a key wins, which row of a batch is the newest of its
// key, and in what order a batch that fails is split. What the database does (src/pg/apply) must decide the same way.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "core/base/version.hpp"

namespace vectorshard::apply {

/// What orders two states of a row. `epoch` counts for rows of vectorshard.client alone and is 0 elsewhere.
struct Rank {
  int64_t epoch = 0;
  Version version = 0;
  auto operator<=>(const Rank &) const = default;
};

/// True if state `a` replaces state `b`.
constexpr bool beats(const Rank &a, const Rank &b) { return a > b; }
/// True if a tombstone of version `deleted` (0: none) ends a row of `version`.
constexpr bool ends(Version deleted, Version version) { return deleted > version; }
/// The tombstone horizon: tombstones of versions up to it may have been collected.
constexpr Version horizon_at(int64_t now_unix_ms, int64_t retention_ms) {
  return version_at_unix_ms(now_unix_ms - retention_ms, kNodeMax);
}
/// True if a row may not be merged: nothing of its key is `here` (0: no row), and the tombstone that ended it may have been
/// collected. Not asked where rows of any age are taken.
constexpr bool too_old(Version version, Version here, Version horizon) { return here == 0 && version <= horizon; }
/// True if rows of any age are taken: of a copy into an empty residency; and of the full state that the client's home sends,
/// for the home was told of every delete that may have been forgotten here (may_collect), unless the state itself is from
/// before the horizon. `made`: the sender's clock then.
constexpr bool takes_any_age(bool copy, bool full_state, bool from_home, Version made, Version horizon) {
  return copy || (full_state && from_home && made > horizon);
}
/// True if a tombstone may be removed: it was kept for the whole retention time, its version lies behind the horizon, and
/// this node owes the client to nobody, so whoever was away meanwhile has it by now.
constexpr bool may_collect(bool kept_long_enough, Version version, Version horizon, bool owed) {
  return kept_long_enough && version < horizon && !owed;
}
/// True if a local INSERT that was stamped before it waited for its key fails (40001): a delete committed meanwhile.
constexpr bool died_meanwhile(Version stamped, Version tombstone) { return ends(tombstone, stamped); }

/// All that nodes know of one key: its newest row (version 0: none) and its newest tombstone.
struct KeyState {
  Version row = 0;
  Version tombstone = 0;
  bool operator==(const KeyState &) const = default;
};

/// The state after both are known. Commutative, associative, idempotent.
KeyState merge(const KeyState &a, const KeyState &b);

/// A row of a batch as the order needs it: the bytes of its key and its rank.
struct Keyed {
  std::string key;
  Rank rank;
  size_t index = 0;  // of the caller's
};

/// Keeps the newest row of each key, in key order (all appliers lock in this order). Of equal ranks the one
/// with the largest index stays: a batch is in the order of its sender's commits, and changes that merge keep the version.
std::vector<Keyed> newest_per_key(std::vector<Keyed> rows);

/// Finds the rows of [0, count) that fail alone. `attempt(begin, end)` tries a range as a whole and says whether it
/// worked; a range that fails is split in halves, each tried by itself. Ranges that worked are never tried again.
std::vector<size_t> bisect(size_t count, const std::function<bool(size_t begin, size_t end)> &attempt);

}  // namespace vectorshard::apply
