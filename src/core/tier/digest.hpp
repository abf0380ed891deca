// A digest of a set of rows that does not depend on their order: the 128-bit sum of a 128-bit hash of each row.
// Made twice, from the heap and from the segment read back; equal digests and counts let the heap rows go.
// It guards against damage and bugs, not against somebody who forges rows.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/types.hpp"

namespace vectorshard::tier {

struct RowDigest {
  int64_t rows = 0;
  uint64_t low = 0, high = 0;

  void add(const RowDigest &other);
  /// 32 hex digits.
  std::string hex() const;
  bool operator==(const RowDigest &) const = default;
};

/// Hashes rows cell by cell. Per row: begin(), cell() for each column in manifest order, end().
class RowHasher {
 public:
  void begin() { row_.clear(); }
  void cell(CellKind kind, const Cell &cell);
  /// The digest of this one row.
  RowDigest end() const;

 private:
  std::string row_;
};

}  // namespace vectorshard::tier
