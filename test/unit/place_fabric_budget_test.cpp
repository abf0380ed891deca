// Limits over the fabric: parts, turns, and crowds of nodes that hear of each other late.
#include "core/place/fabric_budget.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>

namespace vectorshard::place {
namespace {

TEST(FabricShare, AllTogetherNeverPassTheLimit) {
  for (int64_t limit : {0, 1, 2, 7, 100})
    for (int64_t known : {0, 1, 6, 99, 200}) {
      int64_t sum = 0, room = std::max<int64_t>(0, limit - known);
      for (int64_t turn = 0; turn < 3; turn++) sum += fabric_share(limit, known, 3, turn);
      EXPECT_LE(sum, room);
      EXPECT_GE(sum, (room + 1) / 2);
      EXPECT_EQ(fabric_share(limit, known, 1, 0), room) << "alone";
    }
}

TEST(FabricPart, OfTransfersIsFixedAndNobodyStarves) {
  EXPECT_GT(fabric_part(0, 3, 0), int64_t{1} << 60) << "no limit";
  for (int64_t nodes : {1, 3, 64})
    for (int64_t limit : {1, 2, 3, 10, 64, 100}) {
      int64_t sum = 0;
      for (int64_t turn = 0; turn < nodes; turn++) {
        EXPECT_GE(fabric_part(limit, nodes, turn), 1);
        sum += fabric_part(limit, nodes, turn);
      }
      EXPECT_EQ(sum, std::max(limit, nodes));
    }
}

TEST(FabricTurn, GoesRoundAndIsNeverTwosAtOnce) {
  constexpr int64_t kNodes = 3;
  std::array<int, kNodes> had{};
  for (double t = 0; t < 1000; t += 0.5) {
    int first = 0, first_skewed = 0;
    for (int64_t self = 0; self < kNodes; self++) {
      EXPECT_LT(fabric_turn(t, self, kNodes), kNodes);
      bool now = fabric_turn_to_take(t, self, kNodes) == 0;
      had[static_cast<size_t>(self)] += now;
      first += now;
      // Clocks apart: never the turn of two, whichever lags.
      for (double skew : {-2.0, 2.0})
        for (int64_t other = 0; other < kNodes; other++)
          first_skewed += now && other != self && fabric_turn_to_take(t + skew, other, kNodes) == 0;
    }
    EXPECT_LE(first, 1);
    EXPECT_EQ(first_skewed, 0) << t;
  }
  for (int n : had) EXPECT_GT(n, 100);
}

TEST(Told, TheLeastThatAnybodyMayBelieve) {
  Told told;
  EXPECT_EQ(told.least(0), 0);
  told.tell(0, 10);
  EXPECT_EQ(told.least(100), 10);
  told.tell(100, 20);
  EXPECT_EQ(told.least(101), 10) << "some have not heard";
  EXPECT_EQ(told.least(110), 20);
  told.tell(110, 5);
  EXPECT_EQ(told.least(111), 5) << "some have heard";
  told.tell(112, 30);
  EXPECT_EQ(told.least(113), 5);
  EXPECT_EQ(told.least(115), 5) << "what all have heard by now";
  EXPECT_EQ(told.least(116), 30);
}

TEST(FabricLeft, WhatCameSinceIsOfItsOwnShare) {
  FabricView v{190, 40, 3, 3, 1};
  EXPECT_EQ(fabric_left(v, 30, 30), 10);
  EXPECT_EQ(fabric_left(v, 30, 36), 4);
  EXPECT_EQ(fabric_left(v, 30, 25), 10) << "what went and is not told is nobody's";
  EXPECT_LT(fabric_left(v, 150, 160), 1);
  v.turn = 0;
  EXPECT_EQ(fabric_left(v, 30, 30), 10 + 45) << "its turn";
  v.unit = 20;
  EXPECT_EQ(fabric_left(v, 30, 30), 20 * 3);
  v.turn = 1;
  EXPECT_EQ(fabric_left(v, 30, 30), 0) << "less than one for each";
  v.limit = 0;
  EXPECT_GT(fabric_left(v, 30, 30), int64_t{1} << 60);
}

TEST(FabricLeft, IsToldWhenItMatters) {
  FabricView v{190, 40, 3, 3, 1};
  EXPECT_FALSE(tells_in_fabric(v, 30, 30));
  EXPECT_FALSE(tells_in_fabric(v, 30, 34));
  EXPECT_TRUE(tells_in_fabric(v, 30, 35)) << "half of its share";
  EXPECT_TRUE(tells_in_fabric(v, 30, 25));
  EXPECT_TRUE(tells_in_fabric(v, 148, 149)) << "of the rest each counts";
  EXPECT_TRUE(tells_in_fabric(v, 150, 149));
  v.limit = 0;
  EXPECT_FALSE(tells_in_fabric(v, 30, 90));
}

/// Nodes that take and give back at random, tell as the holder does, and hear after up to three seconds by clocks two seconds apart.
class Crowd {
 public:
  Crowd(uint32_t seed, int64_t limit, int64_t unit) : random_(seed), limit_(limit), unit_(unit), nodes_(2 + seed % 11) {
    for (Node &n : nodes_) n.skew_s = below(21) / 10.0;
  }
  int64_t sum() const {
    int64_t out = 0;
    for (const Node &n : nodes_) out += n.has;
    return out;
  }
  /// A tenth of a second. `gives`: of 1000.
  void step(int gives) {
    now_s_ += 0.1;
    for (size_t i = 0; i < nodes_.size(); i++) {
      Node &n = nodes_[i];
      if (n.has > 0 && below(1000) < gives) n.has -= std::min(n.has, size());
      FabricView v = view(i);
      if (int64_t want = size(); below(3) == 0 && fabric_left(v, n.told.least(now_s_), n.has) >= want) n.has += want;
      if (now_s_ >= n.next_tell_s && tells_in_fabric(v, n.last_told, n.has)) {
        n.told.tell(now_s_, n.last_told = n.has);
        n.next_tell_s = now_s_ + 2;
        for (size_t to = 0; to < nodes_.size(); to++) n.heard.push_back({to, now_s_ + below(30) / 10.0, n.has});
      }
    }
  }

 private:
  struct Heard {
    size_t by;
    double at_s;
    int64_t value;
  };
  struct Node {
    int64_t has = 0, last_told = 0;
    double next_tell_s = 0, skew_s = 0;
    Told told;
    std::vector<Heard> heard;
  };
  int below(int n) { return static_cast<int>(random_() % static_cast<uint32_t>(n)); }
  int64_t size() { return unit_ == 1 ? 1 : unit_ / 2 + below(static_cast<int>(unit_ / 2)); }
  FabricView view(size_t self) {
    auto nodes = static_cast<int64_t>(nodes_.size());
    FabricView v{limit_, 0, nodes, fabric_turn_to_take(now_s_ + nodes_[self].skew_s, static_cast<int64_t>(self), nodes), unit_};
    for (size_t i = 0; i < nodes_.size(); i++) {
      if (i == self) continue;
      int64_t value = 0;
      for (const Heard &h : nodes_[i].heard)  // in the order in which it was told: a newer row is never beaten by an older
        if (h.by == self && h.at_s <= now_s_) value = h.value;
      v.others += value;
    }
    return v;
  }

  std::mt19937 random_;
  int64_t limit_, unit_;
  std::vector<Node> nodes_;
  double now_s_ = 0;
};

TEST(FabricCrowd, NeverPassesTheLimitThoughItHearsLate) {
  for (uint32_t seed = 1; seed <= 22; seed++) {
    Crowd crowd(seed, seed % 3 == 0 ? 5 : 200, 1);
    for (int i = 0; i < 6000; i++) {
      crowd.step(seed % 2 == 0 ? 5 : 100);
      ASSERT_LE(crowd.sum(), seed % 3 == 0 ? 5 : 200) << "seed " << seed << ", step " << i;
    }
  }
}

TEST(FabricCrowd, NorByBytes) {
  for (uint32_t seed = 1; seed <= 22; seed++) {
    Crowd crowd(seed, 2'000'000, 10'000 * (1 + seed % 20));
    for (int i = 0; i < 6000; i++) {
      crowd.step(50);
      ASSERT_LE(crowd.sum(), 2'000'000) << "seed " << seed << ", step " << i;
    }
  }
}

TEST(FabricCrowd, FillsItUpToTheLast) {
  for (uint32_t seed = 1; seed <= 11; seed++) {
    Crowd crowd(seed, 37, 1);
    for (int i = 0; i < 4000 && crowd.sum() < 37; i++) crowd.step(0);
    EXPECT_EQ(crowd.sum(), 37) << "seed " << seed;
  }
}

}  // namespace
}  // namespace vectorshard::place
