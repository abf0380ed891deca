// Checksums of an object's blocks.
#include <gtest/gtest.h>

#include <string>

#include "core/tier/blocks.hpp"

namespace vectorshard::tier {
namespace {

std::string sums_of(const std::string &bytes, size_t step) {
  BlockSums sums;
  for (size_t at = 0; at < bytes.size(); at += step) sums.add(std::string_view(bytes).substr(at, step));
  return sums.end();
}

std::string some_bytes(size_t n) {
  std::string out;
  for (size_t i = 0; i < n; i++) out += static_cast<char>((i * 2654435761u) >> 13);
  return out;
}

TEST(TierBlocks, StepsDoNotMatter) {
  std::string bytes = some_bytes(3 * kBlockBytes + 17);
  EXPECT_EQ(block_count(static_cast<int64_t>(bytes.size())), 4);
  std::string sums = sums_of(bytes, bytes.size());
  EXPECT_EQ(sums.size(), 4 * kBlockDigits);
  EXPECT_EQ(sums_of(bytes, 1000), sums);
  EXPECT_EQ(sums_of(some_bytes(2 * kBlockBytes), 777).size(), 2 * kBlockDigits);
  EXPECT_EQ(BlockSums().end(), "");
}

TEST(TierBlocks, PartsAreKnownAgain) {
  std::string bytes = some_bytes(3 * kBlockBytes + 17), sums = sums_of(bytes, 4096);
  EXPECT_TRUE(blocks_match(sums, 0, bytes));
  EXPECT_TRUE(blocks_match(sums, 1, std::string_view(bytes).substr(kBlockBytes, 2 * kBlockBytes)));
  EXPECT_TRUE(blocks_match(sums, 3, std::string_view(bytes).substr(3 * kBlockBytes)));
  EXPECT_FALSE(blocks_match(sums, 2, std::string_view(bytes).substr(kBlockBytes, kBlockBytes)));
  EXPECT_FALSE(blocks_match(sums, 3, std::string_view(bytes).substr(3 * kBlockBytes, 16)));
  EXPECT_FALSE(blocks_match(sums, 4, "x"));
  EXPECT_FALSE(blocks_match("", 0, bytes));
  bytes[kBlockBytes + 5] ^= 1;
  EXPECT_FALSE(blocks_match(sums, 1, std::string_view(bytes).substr(kBlockBytes, kBlockBytes)));
}

}  // namespace
}  // namespace vectorshard::tier
