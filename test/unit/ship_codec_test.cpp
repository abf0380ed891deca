// The codec of batches and replies: what goes in comes out, and damaged bytes are refused without harm. Random
// mutations and truncations stand in for a fuzzer; run with VECTORSHARD_SANITIZE=ON they catch reads out of bounds.
#include <gtest/gtest.h>

#include <random>

#include "core/ship/types.hpp"

using namespace vectorshard;
using namespace vectorshard::ship;

namespace {

std::string random_bytes(std::mt19937 &rng, size_t most) {
  std::string s(rng() % (most + 1), '\0');
  for (char &c : s) c = static_cast<char>(rng());
  return s;
}

Batch random_batch(std::mt19937 &rng) {
  Batch b;
  b.kind = static_cast<BatchKind>(rng() % 3);
  b.from = static_cast<NodeId>(rng() % kNodeMax);
  b.from_incarnation = static_cast<int64_t>(rng());
  b.clock = static_cast<Version>(rng()) << 20;
  b.position = rng();
  for (size_t t = 0, n = 1 + rng() % 3; t < n; t++) {
    Table table{"public.t" + std::to_string(t), {}, 0};
    size_t columns = 1 + rng() % 6;
    for (size_t c = 0; c < columns; c++) table.columns.push_back({"c" + std::to_string(c), "text"});
    table.version_column = static_cast<uint16_t>(rng() % columns);
    b.tables.push_back(table);
  }
  for (size_t c = 0, n = 1 + rng() % 4; c < n; c++) {
    BatchClient client{random_bytes(rng, 12), rng() % 2 == 0, {}};
    for (size_t h = 0, k = rng() % 3; h < k; h++)
      client.shipped_to.push_back({static_cast<NodeId>(rng() % 9), static_cast<Generation>(rng())});
    b.clients.push_back(client);
  }
  for (size_t r = 0, n = rng() % 20; r < n; r++) {
    Row row;
    row.table = static_cast<uint16_t>(rng() % b.tables.size());
    row.client = static_cast<uint32_t>(rng() % b.clients.size());
    row.version = static_cast<Version>(rng());
    for (size_t c = 0; c < b.tables[row.table].columns.size(); c++)
      if (rng() % 4)
        row.values.emplace_back(random_bytes(rng, 40));
      else
        row.values.emplace_back(std::nullopt);
    b.rows.push_back(row);
  }
  return b;
}

void expect_equal(const Batch &a, const Batch &b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.from, b.from);
  EXPECT_EQ(a.from_incarnation, b.from_incarnation);
  EXPECT_EQ(a.clock, b.clock);
  EXPECT_EQ(a.position, b.position);
  ASSERT_EQ(a.tables.size(), b.tables.size());
  for (size_t i = 0; i < a.tables.size(); i++) {
    EXPECT_EQ(a.tables[i].name, b.tables[i].name);
    EXPECT_EQ(a.tables[i].columns, b.tables[i].columns);
    EXPECT_EQ(a.tables[i].version_column, b.tables[i].version_column);
  }
  ASSERT_EQ(a.clients.size(), b.clients.size());
  for (size_t i = 0; i < a.clients.size(); i++) {
    EXPECT_EQ(a.clients[i].name, b.clients[i].name);
    EXPECT_EQ(a.clients[i].as_home, b.clients[i].as_home);
    EXPECT_EQ(a.clients[i].shipped_to, b.clients[i].shipped_to);
  }
  ASSERT_EQ(a.rows.size(), b.rows.size());
  for (size_t i = 0; i < a.rows.size(); i++) {
    EXPECT_EQ(a.rows[i].table, b.rows[i].table);
    EXPECT_EQ(a.rows[i].client, b.rows[i].client);
    EXPECT_EQ(a.rows[i].version, b.rows[i].version);
    EXPECT_EQ(a.rows[i].values, b.rows[i].values);
  }
}

}  // namespace

TEST(ShipCodec, BatchComesBackEqual) {
  std::mt19937 rng(1);
  for (int i = 0; i < 300; i++) {
    Batch b = random_batch(rng);
    auto back = decode_batch(encode(b));
    ASSERT_TRUE(back.ok()) << back.error().detail;
    expect_equal(b, back.value());
  }
}

TEST(ShipCodec, ReplyComesBackEqual) {
  Reply r;
  r.clock = 77;
  r.applied = 3;
  r.stale = 2;
  r.dead_letters = 1;
  r.refusals = {{"car-1", "", RefusalReason::gone, 12}, {"", "public.t", RefusalReason::schema, 0}};
  auto back = decode_reply(encode(r));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().clock, 77);
  EXPECT_EQ(back.value().applied, 3u);
  EXPECT_EQ(back.value().stale, 2u);
  EXPECT_EQ(back.value().dead_letters, 1u);
  ASSERT_EQ(back.value().refusals.size(), 2u);
  EXPECT_EQ(back.value().refusals[0].client, "car-1");
  EXPECT_EQ(back.value().refusals[0].generation, 12);
  EXPECT_EQ(back.value().refusals[1].table, "public.t");
  EXPECT_EQ(back.value().refusals[1].reason, RefusalReason::schema);
}

TEST(ShipCodec, EveryTruncationIsRefused) {
  std::mt19937 rng(2);
  std::string bytes = encode(random_batch(rng));
  for (size_t n = 0; n < bytes.size(); n++) EXPECT_FALSE(decode_batch(std::string_view(bytes).substr(0, n)).ok()) << n;
  EXPECT_FALSE(decode_batch(bytes + "x").ok());
  std::string reply = encode(Reply{1, 2, 3, 4, {{"c", "t", RefusalReason::cold, 5}}});
  for (size_t n = 0; n < reply.size(); n++) EXPECT_FALSE(decode_reply(std::string_view(reply).substr(0, n)).ok()) << n;
}

TEST(ShipCodec, MutatedBytesNeverHarm) {
  std::mt19937 rng(3);
  size_t accepted = 0;
  for (int i = 0; i < 5000; i++) {
    std::string bytes = encode(random_batch(rng));
    for (int m = 0, n = 1 + static_cast<int>(rng() % 4); m < n; m++) bytes[rng() % bytes.size()] = static_cast<char>(rng());
    auto back = decode_batch(bytes);
    if (!back.ok()) continue;
    accepted++;
    for (const Row &r : back.value().rows) {
      ASSERT_LT(r.table, back.value().tables.size());
      ASSERT_LT(r.client, back.value().clients.size());
      ASSERT_EQ(r.values.size(), back.value().tables[r.table].columns.size());
    }
  }
  EXPECT_GT(accepted, 0u);
}

TEST(ShipCodec, ClaimedCountsDoNotAllocate) {
  std::mt19937 rng(4);
  for (int i = 0; i < 5000; i++) {
    std::string bytes = (i % 2 ? "VSB1" : "VSR1") + random_bytes(rng, 200);
    (void)decode_batch(bytes);
    (void)decode_reply(bytes);
  }
  std::string huge = "VSR1" + std::string(20, '\0') + "\xff\xff\xff\xff";
  EXPECT_FALSE(decode_reply(huge).ok());
}
