// Budgets: who goes for whom, and when others hear of a node.
#include "core/place/budget.hpp"

#include <gtest/gtest.h>

namespace vectorshard::place {
namespace {

NodeState state() {
  NodeState s;
  s.residents = s.copies = 50;
  s.bytes = 50'000'000;
  s.max_copies = 100;
  s.max_transfers = 64;
  s.paths[1] = {0.01, 0.05, 1e6};
  return s;
}

TEST(Notable, SmallChangesAreNot) {
  NodeState told = state(), now = told;
  EXPECT_FALSE(notable(told, now));
  now.residents++;
  now.bytes += 1'000'000;
  now.paths[1].rtt_s = 0.012;
  EXPECT_FALSE(notable(told, now));
  now.residents += 3;
  EXPECT_TRUE(notable(told, now));
}

TEST(Notable, AHomeThatGrowsTellsOfIt) {
  NodeState told = state(), now = told;
  told.max_copies = now.max_copies = 1'000'000;
  now.residents += 12;
  EXPECT_FALSE(notable(told, now));
  now.residents++;
  EXPECT_TRUE(notable(told, now)) << "by a quarter";
  told.residents = 0;
  now.residents = 1;
  EXPECT_TRUE(notable(told, now));
}

TEST(Notable, LimitsFullnessQueuesAndPathsAre) {
  NodeState told = state();
  auto changed = [&](auto &&change) {
    NodeState now = state();
    change(now);
    return notable(told, now);
  };
  EXPECT_TRUE(changed([](NodeState &s) { s.max_copies = 200; }));
  EXPECT_TRUE(changed([](NodeState &s) { s.max_bytes = s.bytes; }));
  EXPECT_TRUE(changed([](NodeState &s) { s.queue = 20; }));
  EXPECT_TRUE(changed([](NodeState &s) { s.queue_s = 1; }));
  EXPECT_TRUE(changed([](NodeState &s) { s.paths[2].rtt_s = 0.1; }));
  EXPECT_TRUE(changed([](NodeState &s) { s.paths[1].bytes_per_s = 5e5; }));
  EXPECT_FALSE(changed([](NodeState &s) { s.least_value = 3; })) << "as long as it is not full";
  told.residents = told.max_copies;
  EXPECT_TRUE(changed([](NodeState &s) { s.residents = s.max_copies - 1; })) << "no longer full";
}

TEST(Replace, OnlyForClearlyMore) {
  EXPECT_TRUE(worth_replacing(1, 0));
  EXPECT_TRUE(worth_replacing(1, -5));
  EXPECT_TRUE(worth_replacing(10, 8));
  EXPECT_FALSE(worth_replacing(10, 9));
  EXPECT_FALSE(worth_replacing(10, 10));
  EXPECT_TRUE(worth_replacing(kPriceless, 1e9));
  EXPECT_FALSE(worth_replacing(kPriceless, kPriceless)) << "who is served is not taken for another who is";
}

TEST(Replace, LeastValuableFirstAndEnoughOfThem) {
  std::vector<HeldValue> held{{0, 5, 100, true}, {1, 1, 100, true}, {2, kPriceless, 100, true}, {3, 0, 100, false}, {4, 2, 300, true}};
  EXPECT_EQ(replaced_for(4, held, 1, 0), std::vector<size_t>{1});
  EXPECT_EQ(replaced_for(4, held, 1, 250), (std::vector<size_t>{1, 4}));
  EXPECT_TRUE(replaced_for(4, held, 3, 0).empty()) << "not half of it";
  EXPECT_TRUE(replaced_for(0.5, held, 1, 0).empty());
  EXPECT_EQ(replaced_for(kPriceless, held, 3, 0), (std::vector<size_t>{1, 4, 0}));
  EXPECT_TRUE(replaced_for(4, held, 0, 0).empty());
}

TEST(Pace, QueueTakesItsClientsTimes) {
  Pace p;
  EXPECT_EQ(p.queue_s(100, 1), 0);
  p.note(1.6, 16);
  EXPECT_DOUBLE_EQ(p.queue_s(100, 1), 10);
  EXPECT_DOUBLE_EQ(p.queue_s(100, 4), 2.5);
  p.note(0, 0);
  p.note(3.2, 16);
  EXPECT_DOUBLE_EQ(p.queue_s(100, 1), 12);
}

}  // namespace
}  // namespace vectorshard::place
