// Checksums of an object's blocks, in the manifest, so that a part of it can be trusted that was fetched alone. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/store/sha256.hpp"

namespace vectorshard::tier {

/// A block: the last one of an object may be shorter.
constexpr int64_t kBlockBytes = 65536;
/// Hex digits of a block's checksum, the first of its SHA-256: against damage, not against forgery.
constexpr size_t kBlockDigits = 16;

constexpr int64_t block_count(int64_t bytes) { return (bytes + kBlockBytes - 1) / kBlockBytes; }

/// Collects the checksums of an object's blocks, one after the other, as text.
class BlockSums {
 public:
  void add(std::string_view bytes);
  /// After the last byte.
  std::string end();

 private:
  void end_block();
  std::optional<store::Sha256> sha_;  // of the block that is not at its end
  int64_t in_block_ = 0;
  std::string sums_;
};

/// True if `bytes` are the blocks from number `first` on, whole, or up to the end of the object.
bool blocks_match(std::string_view sums, int64_t first, std::string_view bytes);

}  // namespace vectorshard::tier
