// Row groups for a sample: all if they may be, else one of each stretch, never one twice; neighbours are one range.
#include "core/tier/sample.hpp"

#include <gtest/gtest.h>

namespace vectorshard::tier {
namespace {

using Ranges = std::vector<RowRange>;

TEST(TierSample, AllGroupsAreOneRange) {
  auto never = []() -> double { return 0.99; };
  EXPECT_EQ(choose_row_groups({100, 100, 40}, 3, never), (Ranges{{0, 240}}));
  EXPECT_EQ(choose_row_groups({100, 100, 40}, 1000, never), (Ranges{{0, 240}}));
  EXPECT_EQ(choose_row_groups({40}, 0, never), (Ranges{{0, 40}}));
  EXPECT_EQ(choose_row_groups({}, 5, never), Ranges{});
}

TEST(TierSample, OneOfEachStretch) {
  EXPECT_EQ(choose_row_groups({10, 10, 10, 10, 5}, 2, [] { return 0.0; }), (Ranges{{0, 10}, {20, 30}}));
  EXPECT_EQ(choose_row_groups({10, 10, 10, 10, 5}, 2, [] { return 0.999; }), (Ranges{{10, 20}, {40, 45}}));
  double next = 0.999;
  // The last of one stretch and the first of the next.
  EXPECT_EQ(choose_row_groups({10, 10, 10, 10}, 2, [&] { return std::exchange(next, 0.0); }), (Ranges{{10, 30}}));
}

TEST(TierSample, SpreadEvenlyAndNeverMoreThanAsked) {
  std::vector<int64_t> rows(1000, 60);
  double x = 0.1;
  Ranges got = choose_row_groups(rows, 37, [&] { return x = x * 997 - static_cast<double>(static_cast<int64_t>(x * 997)); });
  int64_t sum = 0, end = 0;
  for (const RowRange &r : got) {
    EXPECT_GE(r.first, end);
    EXPECT_LE(r.first - end, 2 * 28 * 60);
    sum += r.second - r.first;
    end = r.second;
  }
  EXPECT_EQ(sum, 37 * 60);
  EXPECT_GT(end, 1000 * 60 - 28 * 60);
}

}  // namespace
}  // namespace vectorshard::tier
