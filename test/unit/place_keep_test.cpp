// The holder's rules: what may be let go, how many copies a node takes, how peers that fail are tried again.
#include "core/place/keep.hpp"

#include <gtest/gtest.h>

namespace vectorshard::place {
namespace {

constexpr NodeId kSelf = 2;
constexpr NodeId kHome = 1;

HeldCopy held(double since_s, double wished_until_s) { return {kHome, false, since_s, wished_until_s}; }

TEST(MayLetGo, KeepsWhileAWishHolds) {
  EXPECT_FALSE(may_let_go(held(0, 1000), kSelf, 999, 120));
  EXPECT_FALSE(may_let_go(held(0, 1000), kSelf, 999, 0));
}

TEST(MayLetGo, WaitsKeepTimeAfterTheWishEnded) {
  EXPECT_FALSE(may_let_go(held(0, 1000), kSelf, 1119, 120));
  EXPECT_TRUE(may_let_go(held(0, 1000), kSelf, 1120, 120));
}

TEST(MayLetGo, WaitsKeepTimeAfterItCame) {
  EXPECT_FALSE(may_let_go(held(1000, 0), kSelf, 1119, 120));
  EXPECT_TRUE(may_let_go(held(1000, 0), kSelf, 1120, 120));
  EXPECT_FALSE(may_let_go(held(1000, 500), kSelf, 1119, 120));
}

TEST(MayLetGo, NeverTheHomeNorWithoutAHomeNorTwice) {
  EXPECT_FALSE(may_let_go({kSelf, false, 0, 0}, kSelf, 1e9, 0));
  EXPECT_FALSE(may_let_go({kNoNode, false, 0, 0}, kSelf, 1e9, 0));
  EXPECT_FALSE(may_let_go({kHome, true, 0, 0}, kSelf, 1e9, 0));
}

TEST(MayLetGo, NeverWhileACopyIsUnderWay) {
  HeldCopy copy = held(0, 0);
  EXPECT_TRUE(may_let_go(copy, kSelf, 1e9, 0));
  copy.under_way = true;
  EXPECT_FALSE(may_let_go(copy, kSelf, 1e9, 0)) << "begun is finished: what was sent so far would be lost, and is wished again soon";
}

TEST(CopiesAdmitted, StopsAtTheMost) {
  EXPECT_EQ(copies_admitted(5, 0, 0, 10), 5u);
  EXPECT_EQ(copies_admitted(5, 6, 2, 10), 2u);
  EXPECT_EQ(copies_admitted(5, 10, 0, 10), 0u);
  EXPECT_EQ(copies_admitted(5, 20, 3, 10), 0u);
}

TEST(PeerBackOff, DoublesUpToTheMostAndForgets) {
  PeerBackOff b(0.5, 2);
  EXPECT_TRUE(b.ready(1, 0));
  b.failed(1, 0);
  EXPECT_FALSE(b.ready(1, 0.4));
  EXPECT_TRUE(b.ready(1, 0.5));
  EXPECT_TRUE(b.ready(2, 0));
  b.failed(1, 0.5);
  EXPECT_FALSE(b.ready(1, 1.4));
  b.failed(1, 1.5);
  b.failed(1, 3.5);
  EXPECT_DOUBLE_EQ(b.next_ready_s(100), 5.5);
  b.succeeded(1);
  EXPECT_TRUE(b.ready(1, 3.5));
  EXPECT_DOUBLE_EQ(b.next_ready_s(100), 100);
}

}  // namespace
}  // namespace vectorshard::place
