// Policies in the planner, on hand-made clients: bans and regions, of now and of soon.
#include <gtest/gtest.h>

#include "core/place/planner.hpp"

using namespace vectorshard;
using namespace vectorshard::place;

namespace {

struct PoliciesTest : testing::Test {
  telemetry::Motion motion;
  ClientView view;
  PlanSettings settings;
  std::vector<Target> targets{{1, 5, false}, {2, 5, false}, {3, 5, false}};

  PoliciesTest() {
    view.now_s = 1000;
    view.self = 1;
    view.motion = &motion;
    view.serving = true;
    motion.interval_s = 1;
    view.candidates = {{2, 5, 6, 0.9, 1}, {3, 5, 6, 0.9, 1}};
  }
  Policy region(std::vector<NodeId> nodes, bool soon = false) {
    Policy p{"r", PolicyKind::region, kNoNode, 0, 1e12, std::move(nodes)};
    p.soon = soon;
    return p;
  }
  std::vector<Decision> run() { return plan(view, targets, settings); }
  static const Decision *find(const std::vector<Decision> &all, NodeId node) {
    for (const auto &d : all)
      if (d.node == node) return &d;
    return nullptr;
  }
};

TEST_F(PoliciesTest, ARegionKeepsToItsNodes) {
  view.policies = {region({1, 3})};
  auto d = run();
  EXPECT_EQ(find(d, 1)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_EQ(find(d, 2)->reason, "policy r bans it from the node");
  EXPECT_EQ(find(d, 2)->policy, "r");
  EXPECT_GT(find(d, 2)->value, 0) << "what it would be worth";
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 3)->policy, "");
  view.policies.push_back(region({1, 2}));
  d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused) << "several hold together";
  EXPECT_EQ(find(d, 3)->verdict, Verdict::refused);
}

TEST_F(PoliciesTest, ARegionEndsWishesAndBindsTheServingNode) {
  view.policies = {region({3})};
  view.wishes = {{1, 1100}, {2, 1100}};
  auto d = run();
  EXPECT_EQ(find(d, 1)->verdict, Verdict::end);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::end);
  view.policies.front().to_s = view.now_s;
  EXPECT_EQ(find(run(), 2)->verdict, Verdict::covered) << "it has ended";
}

TEST_F(PoliciesTest, AGeofenceAheadStopsWhatIsNotThereYet) {
  view.policies = {region({1}, true)};
  view.holders = {3};
  auto d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::refused);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
}

TEST_F(PoliciesTest, ABanGoesBeforeAPin) {
  view.policies = {{"pin", PolicyKind::pin, 2, 0, 1e12}, {"ban", PolicyKind::never, 2, 0, 1e12}};
  EXPECT_EQ(find(run(), 2)->verdict, Verdict::refused);
}

TEST_F(PoliciesTest, LeastCopiesOnTheNearestNodes) {
  view.candidates.clear();
  view.home = 1;
  view.near = {1, 2, 3};
  Policy copies{"k", PolicyKind::copies, kNoNode, 0, 1e12};
  copies.copies = 2;
  view.policies = {copies};
  EXPECT_EQ(find(run(), 2), nullptr) << "another sees to it";
  view.steward = true;
  auto d = run();
  ASSERT_NE(find(d, 2), nullptr);
  EXPECT_EQ(find(d, 2)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 2)->until_s, view.now_s + kCopiesLifeS);
  EXPECT_EQ(find(d, 2)->reason, "policy k keeps 2 copies");
  EXPECT_EQ(find(d, 2)->policy, "k");
  EXPECT_EQ(find(d, 3), nullptr);
  view.holders = {1, 3};
  d = run();
  EXPECT_EQ(find(d, 2), nullptr) << "what is there is kept";
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  view.near = {1, 2};  // node 3 has died
  EXPECT_EQ(find(run(), 2)->verdict, Verdict::wish);
  view.near = {2, 3};  // and so has the home
  view.policies.front().copies = 3;
  view.self = 2;
  d = run();
  EXPECT_EQ(find(d, 2)->verdict, Verdict::wish);
  EXPECT_EQ(find(d, 3)->verdict, Verdict::wish);
  view.policies.push_back({"ban", PolicyKind::never, 3, 0, 1e12});
  EXPECT_EQ(find(run(), 3)->verdict, Verdict::refused) << "a ban goes before";
}

TEST_F(PoliciesTest, WhereItIsServedCounts) {
  view.candidates.clear();
  view.home = 3;
  view.self = 1;
  view.steward = true;
  view.near = {1, 2, 3};
  Policy copies{"k", PolicyKind::copies, kNoNode, 0, 1e12};
  copies.copies = 2;
  view.policies = {copies};
  EXPECT_EQ(find(run(), 2), nullptr);
}

}  // namespace
