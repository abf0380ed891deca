// The router and the batch builder: every change reaches all other holders and the home, and the home is told where
// each row went.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/ship/batch_builder.hpp"
#include "core/ship/codec.hpp"
#include "core/ship/router.hpp"

using namespace vectorshard;
using namespace vectorshard::ship;

namespace {

const Target *find(const std::vector<Target> &targets, NodeId peer) {
  for (const Target &t : targets)
    if (t.peer == peer) return &t;
  return nullptr;
}

Change change(std::shared_ptr<const Table> table, const ClientName &client, Lsn transaction) {
  Change c;
  c.table = table;
  c.values = std::make_shared<const std::string>(encode_values({std::string("12345678")}));
  c.client = client;
  c.version = 7;
  c.transaction = transaction;
  c.commit_time = 1000;
  return c;
}

}  // namespace

TEST(ShipRouter, HoldersAndHome) {
  Router router(3, {1, 2, 3, 4});
  auto t = router.targets({1, {{1, 10}, {2, 20}, {3, 30}}});
  ASSERT_EQ(t.size(), 2u);
  EXPECT_FALSE(find(t, 2)->as_home);
  EXPECT_TRUE(find(t, 2)->shipped_to.empty());
  ASSERT_TRUE(find(t, 1)->as_home);
  EXPECT_EQ(find(t, 1)->shipped_to, (std::vector<HolderRef>{{1, 10}, {2, 20}, {3, 30}}));
}

TEST(ShipRouter, HomeItselfShipsToHoldersOnly) {
  Router router(1, {2, 3});
  auto t = router.targets({1, {{1, 10}, {2, 20}}});
  ASSERT_EQ(t.size(), 1u);
  EXPECT_EQ(t[0].peer, 2);
}

TEST(ShipRouter, UnknownOrRemovedHomeIsKept) {
  Router router(3, {2});
  for (NodeId home : {kNoNode, 9}) {
    auto t = router.targets({home, {{2, 20}}});
    ASSERT_EQ(t.size(), 2u);
    EXPECT_NE(find(t, 2), nullptr);
    EXPECT_NE(find(t, kNoNode), nullptr);
  }
}

TEST(ShipRouter, RowsWithoutClientGoEverywhere) {
  Router router(2, {1, 2, 3});
  auto t = router.targets_of_all();
  ASSERT_EQ(t.size(), 2u);
  EXPECT_NE(find(t, 1), nullptr);
  EXPECT_NE(find(t, 3), nullptr);
}

TEST(ShipRouter, RandomRoutesMissNobody) {
  std::mt19937 rng(6);
  for (int i = 0; i < 20000; i++) {
    NodeId self = 1 + static_cast<NodeId>(rng() % 6);
    std::vector<NodeId> peers;
    for (NodeId n = 1; n <= 6; n++)
      if (rng() % 3) peers.push_back(n);
    Router router(self, peers);
    ClientRoute route{static_cast<NodeId>(rng() % 7), {}};
    for (NodeId n = 1; n <= 6; n++)
      if (rng() % 2) route.holders.push_back({n, static_cast<Generation>(rng())});
    auto t = router.targets(route);
    for (const Target &x : t) {
      EXPECT_NE(x.peer, self);
      EXPECT_EQ(std::count_if(t.begin(), t.end(), [&](const Target &y) { return y.peer == x.peer; }), 1);
    }
    for (const HolderRef &h : route.holders)
      if (h.node != self && router.active(h.node)) {
        EXPECT_NE(find(t, h.node), nullptr);
      }
    if (route.home != self) {
      const Target *home = find(t, router.active(route.home) ? route.home : kNoNode);
      ASSERT_NE(home, nullptr);
      EXPECT_TRUE(home->as_home);
    }
  }
}

TEST(ShipBatchBuilder, KeepsRoutesApartAndCountsPieces) {
  auto table = std::make_shared<const Table>(Table{"public.t", {{"_version", "bigint"}}, 0});
  BatchBuilder builder(1 << 20, 100);
  Change first = change(table, "a", 100);
  first.as_home = true;
  first.shipped_to = {{2, 5}};
  Change second = first;
  second.shipped_to = {{2, 5}, {3, 6}};
  second.transaction = 200;
  builder.add(first);
  builder.add(second);
  builder.add(second);
  builder.add(change(table, "", 200));
  SealedBatch sealed = builder.seal(4, 1, 99, 1000);
  EXPECT_TRUE(builder.empty());
  EXPECT_EQ(sealed.pieces, (std::vector<std::pair<Lsn, uint32_t>>{{100, 1}, {200, 3}}));
  EXPECT_EQ(sealed.clients, std::set<ClientName>{"a"});
  EXPECT_EQ(sealed.as_home, std::set<ClientName>{"a"});
  EXPECT_EQ(sealed.reference_tables, std::set<std::string>{"public.t"});
  auto batch = decode_batch(sealed.bytes);
  ASSERT_TRUE(batch.ok());
  EXPECT_EQ(batch.value().from, 4);
  EXPECT_EQ(batch.value().clock, 99);
  EXPECT_EQ(batch.value().position, 1000u);
  ASSERT_EQ(batch.value().clients.size(), 3u);
  EXPECT_EQ(batch.value().clients[0].shipped_to.size(), 1u);
  EXPECT_EQ(batch.value().clients[1].shipped_to.size(), 2u);
  EXPECT_EQ(batch.value().tables.size(), 1u);
}

TEST(ShipBatchBuilder, FillsByRowsAndBytes) {
  auto table = std::make_shared<const Table>(Table{"public.t", {{"_version", "bigint"}}, 0});
  BatchBuilder by_rows(1 << 20, 3);
  for (int i = 0; i < 3; i++) {
    EXPECT_FALSE(by_rows.full());
    by_rows.add(change(table, "a", 100));
  }
  EXPECT_TRUE(by_rows.full());
  BatchBuilder by_bytes(60, 1000);
  by_bytes.add(change(table, "a", 100));
  EXPECT_FALSE(by_bytes.full());
  by_bytes.add(change(table, "a", 100));
  EXPECT_TRUE(by_bytes.full());
}
