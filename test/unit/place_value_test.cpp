// Benefit and cost: by default the planner decides as the simulator was tuned, and prices move its threshold.
#include "core/place/value.hpp"

#include <gtest/gtest.h>

#include "core/place/planner.hpp"

namespace vectorshard::place {
namespace {

TEST(Value, DefaultsEqualTheRateThatTheSimulatorWasTunedTo) {
  PlanSettings s;
  EXPECT_DOUBLE_EQ(s.min_rate * 3600 * kMissS, kCopyHourCost);
  for (double average : {0.0, 300.0, 65536.0, 3e7}) {
    Price p = price_of(PlaceTier::edge, {}, {}, average);
    EXPECT_EQ(price_factor(p, average, average), 1.0) << average;
    EXPECT_EQ(price_factor(p, 0, average), 1.0) << "size not known";
    EXPECT_NEAR(cost_per_h(p, average > 0 ? average : 65536), kCopyHourCost, 1e-12);
    EXPECT_EQ(miss_s(p, 5, 0.1), kMissS);
  }
}

TEST(Value, LargeClientsCostMoreSmallOnesHalfAtLeast) {
  Price p = default_price(PlaceTier::edge, 1e6);
  EXPECT_NEAR(price_factor(p, 3e6, 1e6), 2, 1e-9);
  EXPECT_NEAR(price_factor(p, 1, 1e6), 0.5, 1e-5);
  EXPECT_LT(cost_per_h(default_price(PlaceTier::cold, 1e6), 1e6), cost_per_h(default_price(PlaceTier::home, 1e6), 1e6));
}

TEST(Value, PricesOfTablesCountByTheirShare) {
  std::vector<PriceRow> rows{{"", PlaceTier::edge, 0.0, 10.0, 1.0, {}}, {"big", PlaceTier::edge, {}, 100.0, {}, 7.0}};
  std::vector<TableShare> shares{{"big", 0.25}, {"small", 0.75}};
  Price p = price_of(PlaceTier::edge, rows, shares, 1e6);
  EXPECT_DOUBLE_EQ(p.mb_hour, 0.25 * 100 + 0.75 * 10);
  EXPECT_DOUBLE_EQ(p.mb_moved, 1);
  EXPECT_DOUBLE_EQ(p.miss_s, 7);
  EXPECT_DOUBLE_EQ(cost_per_h(p, 2 * kBytesAMb, 1200), 65 + 2 * 3);
  EXPECT_EQ(price_of(PlaceTier::home, rows, shares, 1e6).mb_hour, default_price(PlaceTier::home, 1e6).mb_hour);
}

TEST(Value, TablesWeighByAccessAndSize) {
  std::vector<TableShare> shares{{"profile", 0.2, 4, true}, {"log", 0.8, 0, false}};
  Price p = price_of(PlaceTier::edge, {}, shares, 1e6), plain = default_price(PlaceTier::edge, 1e6);
  EXPECT_DOUBLE_EQ(miss_s(p, 5, 0.1), 2 * kMissS) << "the mean of the weights";
  EXPECT_DOUBLE_EQ(p.mb_hour, 0.2 * plain.mb_hour) << "four fifths of the bytes count for nothing";
  EXPECT_DOUBLE_EQ(p.mb_moved, 0.2 * plain.mb_moved);
  EXPECT_DOUBLE_EQ(p.copy_hour, plain.copy_hour);
  EXPECT_LT(price_factor(p, 1e6, 1e6), 1);
  for (TableShare &s : shares) s.weight = 0;
  EXPECT_EQ(miss_s(price_of(PlaceTier::edge, {}, shares, 1e6), 60, 1), 0) << "nobody waits: no copy pays";
  EXPECT_EQ(price_of(PlaceTier::edge, {}, {{"a", 1, 1, true}}, 1e6).weight, 1);
}

TEST(Value, AMissCostsMoreWhereReadsAreFarAndCopiesSlow) {
  Price p = default_price(PlaceTier::edge, 1e6);
  EXPECT_DOUBLE_EQ(miss_s(p, 60, 0.1), 6);
  EXPECT_DOUBLE_EQ(miss_s(p, 60, 0.001), kMissS);
  EXPECT_GT(worth_per_h(0.0006, 6, 0.0006, 1), 0);
  EXPECT_EQ(worth_per_h(0.0006, 1, 0.0006, 1), 0);
}

TEST(Value, ACopyIsHeldUntilMovingItAgainWouldHaveBeenCheaper) {
  Price p{0, 36, 12, 0};  // a MB costs 0.01 a second to hold, 12 to move
  EXPECT_DOUBLE_EQ(hold_s(p, kBytesAMb, 0, 120), 1200);
  EXPECT_DOUBLE_EQ(hold_s(p, kBytesAMb, 0, 2000), 2000) << "keep_s is the least";
  EXPECT_DOUBLE_EQ(hold_s(p, kBytesAMb, 0, 10), 300) << "and bounds it";
  EXPECT_DOUBLE_EQ(hold_s(Price{}, 1, 0, 10), 300) << "what costs nothing to hold is held long";
  EXPECT_DOUBLE_EQ(hold_s(default_price(PlaceTier::edge, 1e4), 1e4, 1e4, 120), 120) << "at default prices as ever";
}

}  // namespace
}  // namespace vectorshard::place
