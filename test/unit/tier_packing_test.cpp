// Packs of idle clients: bounded, longest idle first, sorted inside.
#include "core/tier/packing.hpp"

#include <gtest/gtest.h>

namespace vectorshard::tier {
namespace {

using Packs = std::vector<std::vector<std::string>>;

TEST(TierPacking, LongestIdleFirstSortedInside) {
  EXPECT_EQ(choose_packs({{"a", 10, 1}, {"b", 30, 1}, {"c", 20, 1}}, {100, 2}), (Packs{{"b", "c"}, {"a"}}));
}

TEST(TierPacking, BoundedInBytes) {
  EXPECT_EQ(choose_packs({{"a", 3, 60}, {"b", 2, 60}, {"c", 1, 40}}, {100, 10}), (Packs{{"a"}, {"b", "c"}}));
}

TEST(TierPacking, AGiantGoesAlone) {
  EXPECT_EQ(choose_packs({{"a", 3, 500}, {"b", 2, 1}}, {100, 10}), (Packs{{"a"}, {"b"}}));
}

TEST(TierPacking, NothingIdleNoPack) { EXPECT_TRUE(choose_packs({}, {}).empty()); }

}  // namespace
}  // namespace vectorshard::tier
