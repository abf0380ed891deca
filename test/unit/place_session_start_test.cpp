// Rests and session starts: habits of hours and of pauses, and the tier that they pay for.
#include "core/place/session_start.hpp"

#include <gtest/gtest.h>

namespace vectorshard::place {
namespace {

constexpr double kDay = 86400, kMidnight = 19700 * kDay;

/// Days on which a client rests from 18:00 until 8:05.
RestHabit commuter(int days) {
  RestHabit h;
  for (int d = -days; d < 0; d++) h.note(kMidnight + d * kDay + 18 * 3600, kMidnight + (d + 1) * kDay + 8 * 3600 + 300, true);
  return h;
}

RestInput at(double hour) {
  RestInput in;
  in.from_s = kMidnight + 18 * 3600 - kDay;
  in.now_s = kMidnight + hour * 3600;
  in.lead_s = 5;
  in.home_cost_h = 100;
  return in;
}

TEST(RestHabit, KnowsTheHour) {
  RestHabit h = commuter(10);
  double from = kMidnight - 6 * 3600;
  EXPECT_NEAR(h.rate(from, kMidnight + 8 * 3600 + 60) * RestHabit::kBinS, 10.0 / 11, 1e-9);
  EXPECT_LT(h.rate(from, kMidnight + 3 * 3600), 1e-4);
  EXPECT_EQ(RestHabit().rate(from, kMidnight), 0);
}

TEST(RestHabit, StartsElsewhereAreNoneHere) {
  RestHabit h;
  for (int d = -10; d < 0; d++) h.note(kMidnight + d * kDay, kMidnight + d * kDay + 8 * 3600, d % 2);
  EXPECT_NEAR(h.rate(kMidnight, kMidnight + 8 * 3600) * RestHabit::kBinS, 5.0 / 11, 1e-9);
}

TEST(RestHabit, KnowsShortPauses) {
  RestHabit h;
  for (int i = 0; i < 20; i++) h.note(kMidnight + i * 7919, kMidnight + i * 7919 + 300, true);  // at all hours
  double from = kMidnight + 0.37 * kDay;
  EXPECT_GT(h.rate(from, from + 300), 0.005);
  EXPECT_LT(h.rate(from, from + 7200), 0.0006);
  h.note(kMidnight, kMidnight + 100, true);  // no pause: within a session
}

TEST(RestHabit, FadesAndIsKeptAsBytes) {
  RestHabit h = commuter(1000);
  EXPECT_GT(h.rate(kMidnight - 6 * 3600, kMidnight + 8 * 3600) * RestHabit::kBinS, 0.98);
  auto again = RestHabit::decode(h.encode());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->encode(), h.encode());
  EXPECT_FALSE(RestHabit::decode("x"));
  EXPECT_FALSE(RestHabit::decode(""));
}

TEST(ExpectedStart, TellsWhenWhyAndHowLikely) {
  auto hours = expected_start(commuter(5), at(1));
  ASSERT_TRUE(hours);
  EXPECT_FALSE(hours->odds.by_pause);
  EXPECT_EQ(hours->tier, PlaceTier::edge);
  EXPECT_NEAR(hours->odds.from_s, kMidnight + 8 * 3600, 1);
  EXPECT_NEAR(hours->odds.to_s, kMidnight + 8.25 * 3600, 1);
  EXPECT_NEAR(hours->act_s, kMidnight + 8 * 3600 - 5, 1);
  EXPECT_EQ(hours->odds.began, 5);
  EXPECT_NEAR(hours->odds.chance(), 5.0 / 6, 1e-9);
  RestHabit h;
  for (int i = 0; i < 20; i++) h.note(kMidnight + i * 7919, kMidnight + i * 7919 + 500, true);
  RestInput in;
  in.from_s = kMidnight + 0.37 * kDay;
  in.now_s = in.from_s + 400;
  auto pause = expected_start(h, in);
  ASSERT_TRUE(pause);
  EXPECT_TRUE(pause->odds.by_pause);
  EXPECT_LE(pause->odds.from_s, in.from_s + 500);
  EXPECT_GE(pause->odds.to_s, in.from_s + 500);
  EXPECT_FALSE(expected_start(RestHabit(), in));
}

TEST(PlanRest, WarmsBeforeTheHourAndNotForTheNight) {
  RestHabit h = commuter(5);
  RestPlan night = plan_rest(h, at(1));
  EXPECT_NE(night.tier, PlaceTier::edge);
  EXPECT_NEAR(night.until_s, kMidnight + 8 * 3600 - 5, 1) << "decided anew when a copy must be begun";
  RestPlan early = plan_rest(h, at(7.9));
  EXPECT_NE(early.tier, PlaceTier::edge);
  RestPlan soon = plan_rest(h, at(8 - 4 / 3600.0));
  EXPECT_EQ(soon.tier, PlaceTier::edge);
  EXPECT_NEAR(soon.until_s, kMidnight + 8.25 * 3600, 1);
  EXPECT_NEAR(soon.eta_s, kMidnight + 8.125 * 3600, 1);
  EXPECT_NE(plan_rest(h, at(8.3)).tier, PlaceTier::edge) << "it did not come today";
}

TEST(PlanRest, TheStoreIsAskedInTime) {
  RestHabit h = commuter(5);
  RestInput in = at(7.5);
  in.thaw_s = 3600;
  EXPECT_EQ(plan_rest(h, in).tier, PlaceTier::edge);
  in.now_s = kMidnight + 6 * 3600;
  RestPlan p = plan_rest(h, in);
  EXPECT_NE(p.tier, PlaceTier::edge);
  EXPECT_NEAR(p.until_s, kMidnight + 7 * 3600 - 5, 1);
}

TEST(PlanRest, ADayOrTwoAreNoHabit) {
  EXPECT_NE(plan_rest(commuter(1), at(8)).tier, PlaceTier::edge);
  EXPECT_EQ(plan_rest(commuter(2), at(8)).tier, PlaceTier::edge);
}

TEST(PlanRest, NotWhereItDoesNotPay) {
  RestHabit h = commuter(5);
  RestInput in = at(8);
  in.edge_cost_h = 100;
  in.home_cost_h = 0.4;
  in.cold_miss_s = 10;
  EXPECT_EQ(plan_rest(h, in).tier, PlaceTier::home) << "the cheapest tier that still wins";
  in.home_cost_h = 1000;
  EXPECT_EQ(plan_rest(h, in).tier, PlaceTier::cold);
  in.now_s = kMidnight + 8 * 3600;
  in.edge_cost_h = 2.16;
  in.miss_s = 0.1;
  EXPECT_EQ(plan_rest(h, in).tier, PlaceTier::cold);
}

TEST(PlanRest, WithoutHabitNothing) {
  RestPlan p = plan_rest(RestHabit(), at(8));
  EXPECT_EQ(p.tier, PlaceTier::cold);
  EXPECT_NEAR(p.until_s, at(8).now_s + kDay, 1);
}

}  // namespace
}  // namespace vectorshard::place
