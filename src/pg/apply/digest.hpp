// Hashing the rows of a client, or of a reference table, by content: what digests, checks and catch-up compare.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/apply/digest.hpp"
#include "core/base/ids.hpp"

namespace vectorshard::apply {

/// A row or tombstone that was hashed. References live until the visitor returns.
struct HashedRow {
  const std::string &table;
  const std::vector<std::string> &key;  // text form; empty unless asked for
  Version version;
  bool tombstone;
  RowHash hash;
};

/// Hashes, under the active snapshot, the rows of `client` in all vector-shard tables, or (client empty) those of
/// reference table `table`, and the tombstones among them that no node may have collected. `with_keys`: the visitor gets
/// keys. Bounded memory. Raises Errc::not_found if the table is not enrolled.
void hash_rows(const std::string &client, const std::string &table, bool with_keys,
               const std::function<void(const HashedRow &)> &row);

}  // namespace vectorshard::apply
