// Who owes whom: the home closes every gap, a refusal is never forgotten, and no debt goes with a copy that leaves.
#include <gtest/gtest.h>

#include "core/ship/debt_rules.hpp"
#include "core/ship/reply_rules.hpp"

using namespace vectorshard;
using namespace vectorshard::ship;
using Nodes = std::vector<NodeId>;

TEST(DebtRules, TheHomeOwesHoldersThatTheWriterDidNotReach) {
  BatchClient sent{"c", true, {{2, 20}, {3, 30}}};
  std::vector<HolderRef> holders{{3, 30}, {4, 40}};
  EXPECT_EQ(owed_after_merge(true, BatchKind::stream, true, sent, holders), Nodes{4});
  holders[0].generation = 31;  // left and came back: what was on its way may have met nobody
  EXPECT_EQ(owed_after_merge(true, BatchKind::stream, false, sent, holders), (Nodes{3, 4}));
  EXPECT_EQ(owed_after_merge(false, BatchKind::stream, true, sent, holders), Nodes{});
}

TEST(DebtRules, WhatASyncTaughtTheHomeIsOwedToAll) {
  BatchClient sent{"c", true, {{3, 30}}};
  std::vector<HolderRef> holders{{3, 30}};
  EXPECT_EQ(owed_after_merge(true, BatchKind::sync, true, sent, holders), Nodes{3});
  EXPECT_EQ(owed_after_merge(true, BatchKind::sync, false, sent, holders), Nodes{});
}

TEST(DebtRules, AHolderHeardOfByTheStreamDidNotCopyFromTheHome) {
  HolderStatement live{HolderState::live, 7, 7};
  EXPECT_TRUE(owed_when_heard_of(true, false, live, 0));
  EXPECT_TRUE(owed_when_heard_of(true, false, live, 6));
  EXPECT_FALSE(owed_when_heard_of(true, false, live, 7));
  EXPECT_FALSE(owed_when_heard_of(false, false, live, 0));
  EXPECT_FALSE(owed_when_heard_of(true, true, live, 0));
  EXPECT_FALSE(owed_when_heard_of(true, false, {HolderState::gone, 7, 7}, 0));
}

TEST(DebtRules, AMoveOfTheHomeIsASyncBetweenTheNewHomeAndEveryHolder) {
  EXPECT_EQ(owed_after_move(2, 3, {2, 3, 4}), Nodes{3});
  EXPECT_EQ(owed_after_move(3, 3, {2, 3, 4}), (Nodes{2, 4}));
}

TEST(DebtRules, AHomeMovesWithTheRowThatReplacesAnother) {
  EXPECT_TRUE(home_moves({3, 2, 10}, {2, 1, 20}));   // moved
  EXPECT_TRUE(home_moves({3, 1, 21}, {2, 1, 20}));   // born on both at once
  EXPECT_TRUE(home_moves({3, 1, 10}, {2, 0, 20}));   // born alone, and known elsewhere
  EXPECT_TRUE(home_moves({3, 1, 10}, {}));           // not known: maybe born here by a transaction that is open
  EXPECT_FALSE(home_moves({3, 1, 19}, {2, 1, 20}));  // late
  EXPECT_FALSE(home_moves({2, 2, 30}, {2, 1, 20}));
  EXPECT_FALSE(home_moves({2, 1, 20}, {2, 1, 20}));  // told again
}

TEST(DebtRules, WhoHoldsTheClientPays) {
  EXPECT_EQ(payment({true, 1, false, true}, 2, 3), Payment::pay);
  EXPECT_EQ(payment({false, 1, true, true}, 2, 3), Payment::hand_to_home);
  EXPECT_EQ(payment({false, kNoNode, true, true}, 2, 3), Payment::wait);
  EXPECT_EQ(payment({false, 1, false, true}, 2, 3), Payment::drop);
  EXPECT_EQ(payment({false, 1, true, false}, 2, 3), Payment::drop);
  EXPECT_EQ(payment({false, 1, true, true}, 2, 1), Payment::drop);  // evicted by the home's leave: it has everything
  EXPECT_EQ(payment({false, 2, true, true}, 2, 3), Payment::drop);  // cold here
}

TEST(DebtRules, ACopyThatLeavesHandsOverItsDebts) {
  EXPECT_EQ(debts_to_hand_over({4, 1}, {1, 2, 3}, true, 1, 2), Nodes{4});
  EXPECT_EQ(debts_to_hand_over({4}, {1, 2, 3, 4}, false, 1, 2), (Nodes{3, 4}));
}

TEST(ReplyRules, NoRefusalIsForgotten) {
  for (RefusalReason r : {RefusalReason::copying, RefusalReason::schema, RefusalReason::cold, RefusalReason::no_table})
    for (bool as_home : {false, true}) EXPECT_EQ(after_refusal(r, as_home), AfterRefusal::owe);
  EXPECT_EQ(after_refusal(RefusalReason::gone, true), AfterRefusal::owe_home);
  EXPECT_EQ(after_refusal(RefusalReason::gone, false), AfterRefusal::learn_gone);
}
