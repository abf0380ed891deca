// Sums of row hashes: order does not matter, equal rows do not cancel, ranges are even and the same everywhere.
#include "core/apply/digest.hpp"

using namespace vectorshard::apply;

namespace {

RowHash hash(uint64_t n) { return {n * 0x9e3779b97f4a7c15, ~n, n << 40, n}; }

}  // namespace

TEST(ApplyDigest, OrderDoesNotMatter) {
  Digest a, b;
  for (uint64_t i = 0; i < 100; i++) a.add(hash(i));
  for (uint64_t i = 100; i-- > 0;) b.add(hash(i));
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.hex(), b.hex());
  b.add(hash(100));
  EXPECT_NE(a.hex(), b.hex());
}

TEST(ApplyDigest, EqualRowsDoNotCancel) {
  Digest none, two;
  two.add(hash(7));
  two.add(hash(7));
  EXPECT_NE(two.hex(), none.hex());
  EXPECT_EQ(none.hex(), std::string(64, '0'));
}

TEST(ApplyDigest, LanesAreReadInOrder) {
  unsigned char bytes[32];
  for (unsigned char i = 0; i < 32; i++) bytes[i] = i;
  EXPECT_EQ(hex(row_hash(bytes)), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
}

TEST(ApplyDigest, RangesAreEvenAndTellPartsApart) {
  std::vector<int> rows(16);
  for (int i = 0; i < 16000; i++) rows[range_of("public.trip", {"car" + std::to_string(i / 10), std::to_string(i)}, 16)]++;
  for (int n : rows) EXPECT_NEAR(n, 1000, 150);
  EXPECT_EQ(range_of("t", {"a"}, 1), 0u);
  EXPECT_NE(range_of("t", {"a", "bc"}, 65536), range_of("t", {"ab", "c"}, 65536));
  EXPECT_EQ(range_of("t", {"a", "bc"}, 65536), 34719u);  // written down: it must never change
}
