// Commits that wait for other nodes: what counts as reached and what can never be. Over random histories the tracker
// must agree with a plain count of the rows.
#include "core/ship/durability.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <set>

using namespace vectorshard;
using namespace vectorshard::ship;

namespace {

constexpr Lsn kTransaction = 100;
constexpr uint32_t kKey = 7;
const Target kHome{1, true, {}}, kHolder2{2, false, {}}, kHolder3{3, false, {}}, kUnknownHome{kNoNode, true, {}};

/// "reached", "failed" or "open".
std::string verdict(DurabilityTracker &t) {
  auto all = t.take_verdicts();
  if (all.empty()) return "open";
  EXPECT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].key, kKey);
  return all[0].reached ? "reached" : "failed";
}

DurabilityTracker tracker(DurabilityLevel level, uint32_t holders = 1) {
  DurabilityTracker t;
  t.watch(kTransaction, kKey, {level, holders});
  return t;
}

TEST(Durability, HomeWaitsForTheHomeAlone) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "a", {kHome, kHolder2});
  t.flushed(kTransaction, "a", 1, 1);
  EXPECT_EQ(verdict(t), "open");  // more rows may come
  t.complete(kTransaction);
  EXPECT_EQ(verdict(t), "reached");
  EXPECT_TRUE(t.idle());
}

TEST(Durability, AHomeHereIsReachedWhenAllIsRouted) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "a", {kHolder2});
  t.complete(kTransaction);
  EXPECT_EQ(verdict(t), "reached");
}

TEST(Durability, EveryClientCounts) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "a", {kHome});
  t.routed(kTransaction, "b", {Target{2, true, {}}});
  t.complete(kTransaction);
  t.flushed(kTransaction, "a", 1, 1);
  EXPECT_EQ(verdict(t), "open");
  t.flushed(kTransaction, "b", 2, 1);
  EXPECT_EQ(verdict(t), "reached");
}

TEST(Durability, EveryRowCounts) {
  auto t = tracker(DurabilityLevel::home);
  for (int i = 0; i < 3; i++) t.routed(kTransaction, "a", {kHome});
  t.complete(kTransaction);
  t.flushed(kTransaction, "a", 1, 2);
  EXPECT_EQ(verdict(t), "open");
  t.flushed(kTransaction, "a", 1, 1);
  EXPECT_EQ(verdict(t), "reached");
}

TEST(Durability, ADebtToTheHomeFailsAtOnce) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "a", {kHome, kHolder2});
  t.lost(kTransaction, "a", 2);
  EXPECT_EQ(verdict(t), "open");  // not the home
  t.lost(kTransaction, "a", 1);
  auto all = t.take_verdicts();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_FALSE(all[0].reached);
  EXPECT_EQ(all[0].client, "a");
  EXPECT_EQ(all[0].peer, 1);
}

TEST(Durability, AnUnknownHomeFails) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "a", {kUnknownHome});
  t.complete(kTransaction);
  EXPECT_EQ(verdict(t), "failed");
}

TEST(Durability, QuorumCountsHoldersAndGivesUpWhenTheyAreTooFew) {
  auto two = tracker(DurabilityLevel::quorum, 2);
  two.routed(kTransaction, "a", {kHome, kHolder2, kHolder3});
  two.complete(kTransaction);
  two.flushed(kTransaction, "a", 3, 1);
  EXPECT_EQ(verdict(two), "open");
  two.lost(kTransaction, "a", 1);
  EXPECT_EQ(verdict(two), "open");  // 2 and 3 are enough
  two.flushed(kTransaction, "a", 2, 1);
  EXPECT_EQ(verdict(two), "reached");

  auto three = tracker(DurabilityLevel::quorum, 3);
  three.routed(kTransaction, "a", {kHome, kHolder2, kHolder3});
  three.complete(kTransaction);
  three.lost(kTransaction, "a", 2);
  EXPECT_EQ(verdict(three), "failed");

  auto alone = tracker(DurabilityLevel::quorum, 1);
  alone.routed(kTransaction, "a", {});
  alone.complete(kTransaction);
  EXPECT_EQ(verdict(alone), "failed");
}

TEST(Durability, RowsWithoutAClientNeedOneOtherNodeIfThereIsAny) {
  auto t = tracker(DurabilityLevel::home);
  t.routed(kTransaction, "", {kHolder2, kHolder3});
  t.complete(kTransaction);
  EXPECT_EQ(verdict(t), "open");
  t.flushed(kTransaction, "", 3, 1);
  EXPECT_EQ(verdict(t), "reached");
  auto alone = tracker(DurabilityLevel::home);
  alone.routed(kTransaction, "", {});
  alone.complete(kTransaction);
  EXPECT_EQ(verdict(alone), "reached");
}

TEST(Durability, WhatIsNotWatchedIsPassedOver) {
  DurabilityTracker t;
  t.routed(1, "a", {kHome});
  t.flushed(1, "a", 1, 1);
  t.lost(1, "a", 1);
  t.complete(1);
  EXPECT_TRUE(t.take_verdicts().empty());
  t.watch(kTransaction, kKey, {DurabilityLevel::home, 1});
  t.complete(kTransaction);  // nothing of it counts
  EXPECT_EQ(verdict(t), "reached");
}

TEST(Durability, RandomHistoriesAgreeWithACount) {
  std::mt19937 random(4711);
  for (int round = 0; round < 2000; round++) {
    bool home = random() % 2;
    uint32_t holders = 1 + random() % 3;
    auto t = tracker(home ? DurabilityLevel::home : DurabilityLevel::quorum, holders);
    struct Sent { ClientName client; NodeId peer; };
    std::vector<Sent> open;
    std::map<ClientName, std::map<NodeId, uint32_t>> left;
    std::map<ClientName, NodeId> homes;
    for (uint32_t i = 0, rows = 1 + random() % 6; i < rows; i++) {
      ClientName client(1, static_cast<char>('a' + random() % 2));
      auto known = homes.emplace(client, 1 + random() % 3).first;
      std::vector<Target> targets;
      for (NodeId node = 1; node <= 3; node++) targets.push_back({node, node == known->second, {}});
      t.routed(kTransaction, client, targets);
      for (NodeId node = 1; node <= 3; node++) {
        open.push_back({client, node});
        left[client][node]++;
      }
    }
    t.complete(kTransaction);
    std::shuffle(open.begin(), open.end(), random);
    std::set<std::pair<ClientName, NodeId>> lost;
    std::string expected = "open";
    for (size_t i = 0; i <= open.size() && expected == "open"; i++) {
      ASSERT_EQ(verdict(t), expected);
      if (i == open.size()) break;
      if (random() % 20 == 0) {
        t.lost(kTransaction, open[i].client, open[i].peer);
        lost.insert({open[i].client, open[i].peer});
      } else {
        t.flushed(kTransaction, open[i].client, open[i].peer, 1);
        left[open[i].client][open[i].peer]--;
      }
      bool all = true;
      for (auto &[client, peers] : left) {
        uint32_t have = 0, may = 0;
        for (auto &[node, n] : peers) {
          have += n == 0 && !lost.contains({client, node});
          may += !lost.contains({client, node});
        }
        NodeId h = homes.at(client);
        bool client_has = home ? peers[h] == 0 && !lost.contains({client, h}) : have >= holders;
        if (home ? lost.contains({client, h}) : may < holders) expected = "failed";
        all = all && client_has;
      }
      if (expected == "open" && all) expected = "reached";
      if (expected != "open") ASSERT_EQ(verdict(t), expected);
    }
  }
}

}  // namespace
