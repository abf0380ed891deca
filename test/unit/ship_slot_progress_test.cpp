// The slot's position (invariant 4): in random histories of deliveries in any order it never passes the commit of a transaction
// that still has a piece open, never goes back, and reaches the end when all is settled.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "core/ship/slot_progress.hpp"

using namespace vectorshard::ship;

TEST(ShipSlotProgress, StandsBeforeTheOldestOpenTransaction) {
  SlotProgress p(100);
  EXPECT_EQ(p.confirmable(), 100u);
  p.open(200);
  p.open(300);
  p.read_to(350);
  p.settle(300);
  EXPECT_EQ(p.confirmable(), 200u);
  EXPECT_EQ(p.oldest_open(), 200u);
  p.hold(200, 2);
  p.settle(200);
  EXPECT_EQ(p.confirmable(), 200u);
  p.settle(200, 2);
  EXPECT_TRUE(p.idle());
  EXPECT_EQ(p.confirmable(), 350u);
}

TEST(ShipSlotProgress, MisuseThrows) {
  SlotProgress p(0);
  p.open(10);
  EXPECT_THROW(p.open(10), std::logic_error);
  EXPECT_THROW(p.settle(11), std::logic_error);
  EXPECT_THROW(p.settle(10, 2), std::logic_error);
  EXPECT_THROW(p.hold(5), std::logic_error);
}

TEST(ShipSlotProgress, RandomHistories) {
  for (unsigned seed = 0; seed < 300; seed++) {
    std::mt19937 rng(seed);
    SlotProgress p(50);
    std::map<Lsn, uint64_t> model;  // transaction → open pieces, settled ones kept with 0
    Lsn next = 100, last = p.confirmable();
    auto check = [&] {
      Lsn now = p.confirmable();
      ASSERT_GE(now, last);
      last = now;
      for (auto &[end, pieces] : model)
        if (pieces > 0) {
          ASSERT_LE(now, end) << "passed an open transaction";
        }
    };
    for (int step = 0; step < 400; step++) {
      if (rng() % 3 == 0) {
        uint64_t pieces = 1 + rng() % 4;
        p.open(next, pieces);
        model[next] = pieces;
        next += 1 + rng() % 50;
        p.read_to(next - 1);
      } else {
        std::vector<Lsn> open;
        for (auto &[end, pieces] : model)
          if (pieces > 0) open.push_back(end);
        if (!open.empty()) {
          Lsn end = open[rng() % open.size()];
          uint64_t pieces = 1 + rng() % model[end];
          p.settle(end, pieces);
          model[end] -= pieces;
        }
      }
      check();
    }
    for (auto &[end, pieces] : model)
      if (pieces > 0) {
        p.settle(end, pieces);
        pieces = 0;
        check();
      }
    EXPECT_TRUE(p.idle());
    EXPECT_GE(p.confirmable(), model.empty() ? 50 : model.rbegin()->first);
  }
}
