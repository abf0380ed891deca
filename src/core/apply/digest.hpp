// A digest of a set of rows that does not depend on their order: the sum, lane by lane, of a 256-bit hash of each row. A
// sum does not cancel as an exclusive or does (two equal rows are not none), needs no sorting and no memory, so nodes
// that order text differently still agree. It guards against damage and bugs, not against somebody who forges rows.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::apply {

/// Four lanes of a SHA-256.
using RowHash = std::array<uint64_t, 4>;

/// The lanes of 32 bytes.
RowHash row_hash(const unsigned char *bytes);

struct Digest {
  int64_t rows = 0;
  RowHash sum{};

  void add(const RowHash &row);
  /// 64 hex digits; all zero for no rows.
  std::string hex() const;
  bool operator==(const Digest &) const = default;
};

/// 64 hex digits of one row.
std::string hex(const RowHash &row);

/// In which of `ranges` (> 0) equal parts of the space of hashed keys the row (table, key) lies: the same on every node.
uint32_t range_of(std::string_view table, const std::vector<std::string> &key, uint32_t ranges);

}  // namespace vectorshard::apply
