// Which segments are written anew: worn ones, many small ones; never of two tables or stores, never more than is good, and not again
// and again.
#include "core/tier/compaction.hpp"

#include <gtest/gtest.h>

namespace vectorshard::tier {
namespace {

constexpr int64_t kMb = 1 << 20;
using Groups = std::vector<std::vector<std::string>>;

SegmentUse segment(const std::string &name, int64_t mb, int64_t live_rows, const std::string &table = "t", const std::string &store = "s") {
  return {name, store, table, mb * kMb, 1000, live_rows};
}

TEST(TierCompaction, WornSegmentsAreWrittenAnew) {
  EXPECT_EQ(choose_compactions({segment("a", 60, 500), segment("b", 60, 1000)}, {}), Groups{});
  EXPECT_EQ(choose_compactions({segment("a", 60, 499), segment("b", 60, 1000)}, {}), (Groups{{"a"}}));
  EXPECT_EQ(choose_compactions({segment("a", 60, 0)}, {}), Groups{});
  CompactionRules never;
  never.live_share = 0;
  EXPECT_EQ(choose_compactions({segment("a", 60, 1)}, never), Groups{});
}

TEST(TierCompaction, OneTableAndOneStoreEach) {
  EXPECT_EQ(choose_compactions({segment("a", 60, 10), segment("b", 60, 10, "u"), segment("c", 60, 10, "t", "r"), segment("d", 60, 20)}, {}),
            (Groups{{"c"}, {"a", "d"}, {"b"}}));
}

TEST(TierCompaction, ManySmallOnesBecomeOne) {
  std::vector<SegmentUse> small;
  for (int i = 0; i < 7; i++) small.push_back(segment("s" + std::to_string(i), 1, 1000));
  EXPECT_EQ(choose_compactions(small, {}), Groups{});
  small.push_back(segment("s7", 7, 1000));
  ASSERT_EQ(choose_compactions(small, {}).size(), 1u);
  EXPECT_EQ(choose_compactions(small, {})[0].size(), 8u);
  small.push_back(segment("big", 60, 1000));
  EXPECT_EQ(choose_compactions(small, {})[0].size(), 8u);
  // A worn one takes few small ones along.
  EXPECT_EQ(choose_compactions({segment("b", 1, 1000), segment("w", 60, 100), segment("a", 1, 1000)}, {}), (Groups{{"w", "a", "b"}}));
}

TEST(TierCompaction, ObjectsStayWithinBounds) {
  std::vector<SegmentUse> worn;
  for (int i = 0; i < 10; i++) worn.push_back(segment("w" + std::to_string(i), 100, 300));  // 30 MB each
  Groups groups = choose_compactions(worn, {});
  EXPECT_EQ(groups.size(), 5u);
  for (auto &g : groups) EXPECT_EQ(g.size(), 2u);
  EXPECT_EQ(choose_compactions({segment("huge", 1000, 400)}, {}), (Groups{{"huge"}}));
}

TEST(TierCompaction, WhatWasWrittenAnewIsLeftAlone) {
  for (int64_t mb : {int64_t{1}, int64_t{7}, int64_t{8}, int64_t{64}}) EXPECT_EQ(choose_compactions({segment("n", mb, 1000)}, {}), Groups{});
}

}  // namespace
}  // namespace vectorshard::tier
