// The policy on hand-made clients: who is wished, how long, why, and what is left alone.
#include "core/place/planner.hpp"

#include <gtest/gtest.h>

#include "core/place/areas.hpp"
#include "core/predict/kalman.hpp"
#include "core/predict/reach_set.hpp"
#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using namespace vectorshard::place;
using telemetry::kMetresPerDegree;

namespace {

constexpr double kStart = 1.7e9;

/// Three sites on the equator, 2 km apart; borders at 1 km and 3 km.
NodeMap line() {
  std::vector<NodeSite> sites;
  for (int i = 0; i < 3; i++) sites.push_back({i + 1, "n", false, 0, 2000.0 * i / kMetresPerDegree, {}});
  return NodeMap(sites);
}

struct PlannerTest : testing::Test {
  NodeMap map = line();
  telemetry::Motion motion;
  ClientView view;
  PlanSettings settings;
  std::vector<Target> targets{{1, 5, false}, {2, 5, false}, {3, 5, false}};

  /// Drives east, one report a second, and stands at `x` metres at the end.
  void drive_to(double x, double mps) {
    for (int i = 60; i >= 0; i--) report(kStart + 60 - i, x - i * mps);
    view.now_s = kStart + 60;
  }
  void report(double t, double x) {
    telemetry::Report r{t, 0, x / kMetresPerDegree, {}, {}};
    telemetry::take(r, 1, motion);
    predict::observe(r, motion);
    view.motion = &motion;
    view.self = 1;
    view.serving = true;
    view.now_s = t;
  }
  std::vector<Decision> run() {
    view.candidates.clear();
    if (view.motion)
      view.candidates = predict::reach_set(motion, view.self, map, 5 + predict::look_ahead_s(motion, settings.margin_s));
    return plan(view, targets, settings);
  }
  static const Decision *find(const std::vector<Decision> &all, NodeId node) {
    for (const auto &d : all)
      if (d.node == node) return &d;
    return nullptr;
  }
};

}  // namespace

TEST_F(PlannerTest, WishesTheServingNodeAndTheNextOne) {
  drive_to(900, 10);
  auto d = run();
  ASSERT_EQ(d.size(), 2u);
  EXPECT_EQ(d[0].node, 1);
  EXPECT_EQ(d[0].reason, kServesReason);
  EXPECT_EQ(d[0].verdict, Verdict::wish);
  EXPECT_EQ(d[1].node, 2);
  EXPECT_EQ(d[1].verdict, Verdict::wish);
  EXPECT_GT(d[1].until_s, view.now_s + 20);
  EXPECT_NE(d[1].reason.find("a copy takes 5 s"), std::string::npos) << d[1].reason;
}

TEST_F(PlannerTest, FarFromTheBorderOnlyTheServingNode) {
  drive_to(-500, 5);
  EXPECT_EQ(run().size(), 1u);
}

TEST_F(PlannerTest, LeavesLongWishesAloneAndRenewsShortOnes) {
  drive_to(900, 10);
  view.wishes = {{1, view.now_s + 100}, {2, view.now_s + 100}};
  for (const auto &d : run()) EXPECT_EQ(d.verdict, Verdict::covered) << d.node;
  view.wishes = {{1, view.now_s + 3}, {2, view.now_s + 3}};
  for (const auto &d : run()) EXPECT_EQ(d.verdict, Verdict::wish) << d.node;
}

TEST_F(PlannerTest, ArrivalRewritesTheServingWish) {
  drive_to(-500, 5);
  view.wishes = {{1, view.now_s + 1000}};
  view.arrived = true;
  EXPECT_EQ(run().at(0).verdict, Verdict::wish);
}

TEST_F(PlannerTest, EndsWishesOfAClientThatTurnedAway) {
  drive_to(-900, 10);
  view.wishes = {{3, view.now_s + 60}, {2, view.now_s + 5}};
  auto d = run();
  ASSERT_NE(find(d, 3), nullptr);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::end);
  EXPECT_EQ(find(d, 3)->until_s, view.now_s);
  EXPECT_EQ(find(d, 2), nullptr);  // ends by itself soon enough
}

TEST_F(PlannerTest, ServedElsewhereEndsEverything) {
  drive_to(900, 10);
  view.serving = false;
  view.wishes = {{1, view.now_s + 60}, {2, view.now_s + 60}};
  auto d = run();
  ASSERT_EQ(d.size(), 2u);
  for (const auto &each : d) {
    EXPECT_EQ(each.verdict, Verdict::end);
    EXPECT_EQ(each.reason, "served elsewhere");
  }
}

TEST_F(PlannerTest, WhatIsTooUnlikelyForItsCostIsRefusedButHeld) {
  drive_to(900, 10);
  view.candidates = {{2, 10, 20, 0.5, settings.min_rate}, {3, 10, 20, 0.5, settings.min_rate * 0.9}};
  auto d = plan(view, targets, settings);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::refused);
  EXPECT_NE(find(d, 3)->reason.find("too unlikely"), std::string::npos);
  view.holders = {3};  // a copy that is there, or under way, need not be begun
  EXPECT_EQ(find(plan(view, targets, settings), 3)->verdict, Verdict::wish);
  view.candidates[1].rate_per_s = settings.min_rate * settings.hold * 0.9;
  EXPECT_EQ(find(plan(view, targets, settings), 3)->verdict, Verdict::refused);
}

TEST_F(PlannerTest, ACopyUnderWayIsNotGivenUp) {
  drive_to(900, 10);
  view.wishes = {{3, view.now_s + 60}};
  view.candidates.clear();  // the client has turned away
  EXPECT_EQ(find(plan(view, targets, settings), 3)->verdict, Verdict::end);
  view.holders = view.copying = {3};
  EXPECT_EQ(find(plan(view, targets, settings), 3), nullptr);
  view.policies = {{"p", PolicyKind::never, 3, view.now_s - 1, view.now_s + 100}};
  EXPECT_EQ(find(plan(view, targets, settings), 3)->verdict, Verdict::end) << "but a ban ends it";
  view.policies.clear();
  view.serving = false;
  EXPECT_EQ(find(plan(view, targets, settings), 3)->verdict, Verdict::end) << "and so does another planner's turn";
}

TEST_F(PlannerTest, WithoutPredictorOnlyTheServingNode) {
  drive_to(900, 10);
  settings.predict = false;
  EXPECT_EQ(run().size(), 1u);
}

TEST_F(PlannerTest, AFullNodeGetsNoNewClientButKeepsItsOwn) {
  drive_to(900, 10);
  targets[1].full = true;
  auto d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_NE(find(d, 2)->reason.find("full"), std::string::npos);
  view.holders = {2};
  EXPECT_EQ(find(run(), 2)->verdict, Verdict::wish);
}

TEST_F(PlannerTest, ManyCandidatesAreCut) {
  drive_to(900, 10);
  settings.max_candidates = 0;
  auto d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_NE(find(d, 2)->reason.find("others are likelier"), std::string::npos);
}

TEST_F(PlannerTest, PoliciesBind) {
  drive_to(900, 10);
  view.policies = {{"ban", PolicyKind::never, 2, 0, 1e12},
                   {"hint home", PolicyKind::hint, 3, view.now_s + 10, view.now_s + 500},
                   {"later", PolicyKind::hint, 2, view.now_s + 5000, view.now_s + 6000}};
  auto d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_EQ(find(d, 2)->reason, "policy ban bans it from the node");
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 3)->until_s, view.now_s + 500);
  EXPECT_EQ(find(d, 3)->reason, "expected there by hint home");
}

TEST_F(PlannerTest, AMissedQueryBringsTheClientHere) {
  view.self = 2;
  view.now_s = kStart;
  view.missed = true;
  auto d = run();
  ASSERT_EQ(d.size(), 1u);
  EXPECT_EQ(d[0].node, 2);
  EXPECT_EQ(d[0].verdict, Verdict::wish);
}

TEST_F(PlannerTest, SlowReportsLookFurtherAhead) {
  // 5 m/s, 250 m from the border: 50 s away. With a report a second it is not yet likely within 25 s; with one a
  // minute the next report may already come from the other side.
  for (int i = 20; i >= 0; i--) report(kStart - i * 60, 700 - 300.0 * i);
  const auto slow = run();
  ASSERT_NE(find(slow, 2), nullptr);
  EXPECT_EQ(find(slow, 2)->verdict, Verdict::wish);
  EXPECT_GT(find(slow, 2)->until_s - view.now_s, 60);
}

TEST_F(PlannerTest, PricesAndMissesMoveTheThreshold) {
  drive_to(900, 10);
  view.candidates = {{2, 10, 20, 0.5, settings.min_rate}, {3, 10, 20, 0.5, settings.min_rate * 0.9}};
  targets[1].price = 1.1;
  targets[2].miss_s = 1.2;
  auto d = plan(view, targets, settings);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  EXPECT_NEAR(find(d, 3)->value, settings.min_rate * 3600 * 0.08, 1e-9);
  EXPECT_EQ(find(d, 3)->eta_s, motion.at_s + 20);
  EXPECT_EQ(find(d, 1)->value, kPriceless) << "who is served is not weighed";
  settings.max_candidates = 1;
  targets[1].price = 0.9;
  EXPECT_EQ(find(plan(view, targets, settings), 2)->reason.find("others are likelier"), std::string::npos);
  targets[2].miss_s = 2;
  EXPECT_NE(find(plan(view, targets, settings), 2)->reason.find("others are likelier"), std::string::npos) << "the worthier first";
}

TEST_F(PlannerTest, ACopyThatIsThereIsWorthWhatItIsGoodForSoon) {
  drive_to(900, 10);
  view.candidates = {{2, 10, 20, 0.5, settings.min_rate}};
  view.candidates[0].soon_per_s = settings.min_rate * 3;
  EXPECT_NEAR(find(plan(view, targets, settings), 2)->value, 0, 1e-9);
  view.holders = {2};
  EXPECT_NEAR(find(plan(view, targets, settings), 2)->value, settings.min_rate * 3600 * 2, 1e-9);
}

TEST_F(PlannerTest, EachTargetHasItsOwnLead) {
  drive_to(900, 10);
  targets[2].lead_s = 500;
  view.candidates = {{2, 200, 220, 0.5, 1}, {3, 200, 220, 0.5, 1}};
  auto d = plan(view, targets, settings);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_NE(find(d, 2)->reason.find("not yet"), std::string::npos);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 3)->lead_s, 500);
}

TEST_F(PlannerTest, AFullNodeTakesWhatIsWorthMoreThanItsLeast) {
  drive_to(900, 10);
  view.candidates = {{2, 10, 20, 0.5, settings.min_rate * 3}};
  targets[1].full = true;
  targets[1].least_value = 3;  // the candidate is worth 4.32
  EXPECT_EQ(find(plan(view, targets, settings), 2)->verdict, Verdict::wish);
  targets[1].least_value = 4;
  EXPECT_NE(find(plan(view, targets, settings), 2)->reason.find("worth more"), std::string::npos);
  targets[0].full = true;
  EXPECT_EQ(plan(view, targets, settings).at(0).verdict, Verdict::wish) << "others must hear who serves the client";
}

TEST_F(PlannerTest, WhoIsSilentForLongIsNotServedAndKeepsWhatItsNextSessionNeeds) {
  drive_to(900, 10);
  view.now_s += 45;
  view.silent_s = 45;
  view.wishes = {{1, view.now_s + 600}, {3, view.now_s + 600}};
  view.candidates = {{2, 10, 20, 0.5, 1}};
  EXPECT_TRUE(plan(view, targets, settings).empty());
  view.policies = {{"h", PolicyKind::hint, 2, view.now_s - 1, view.now_s + 100}};
  auto d = plan(view, targets, settings);
  ASSERT_EQ(d.size(), 1u) << "policies bind all the same";
  EXPECT_EQ(d[0].node, 2);
}

TEST_F(PlannerTest, AFullFabricGetsNoMoreByPrediction) {
  drive_to(900, 10);
  view.candidates = {{2, 10, 20, 0.5, 1}};
  settings.fabric_full = true;
  auto d = plan(view, targets, settings);
  EXPECT_EQ(find(d, 1)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_NE(find(d, 2)->reason.find("the fabric holds"), std::string::npos);
  view.holders = {2};
  EXPECT_EQ(find(plan(view, targets, settings), 2)->verdict, Verdict::wish);
}
