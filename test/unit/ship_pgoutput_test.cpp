// The decoder of pgoutput messages, on messages laid out as PostgreSQL's documentation of the protocol says.
#include <gtest/gtest.h>

#include <random>

#include "core/ship/pgoutput.hpp"

using namespace vectorshard::ship;
using namespace std::string_literals;

namespace {

std::string be(uint64_t v, int bytes) {
  std::string s;
  for (int i = bytes - 1; i >= 0; i--) s.push_back(static_cast<char>(v >> (8 * i)));
  return s;
}

std::string value(char kind, const std::string &bytes) { return kind + be(bytes.size(), 4) + bytes; }

std::string relation() {
  return "R" + be(16400, 4) + "public\0car\0"s + "d" + be(2, 2) + "\1id\0"s + be(20, 4) + be(0xFFFFFFFF, 4) +
         "\0name\0"s + be(1043, 4) + be(24, 4);
}

}  // namespace

TEST(ShipPgoutput, BeginAndCommit) {
  auto b = decode_message("B" + be(0x1600, 8) + be(77, 8) + be(731, 4));
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(std::get<BeginMessage>(b.value()).commit_lsn, 0x1600u);
  EXPECT_EQ(std::get<BeginMessage>(b.value()).xid, 731u);
  auto c = decode_message("C\0"s + be(0x1600, 8) + be(0x1680, 8) + be(77, 8));
  ASSERT_TRUE(c.ok());
  EXPECT_EQ(std::get<CommitMessage>(c.value()).end_lsn, 0x1680u);
}

TEST(ShipPgoutput, Relation) {
  std::string bytes = relation();
  auto m = decode_message(bytes);
  ASSERT_TRUE(m.ok());
  auto &r = std::get<RelationMessage>(m.value());
  EXPECT_EQ(r.id, 16400u);
  EXPECT_EQ(r.schema, "public");
  EXPECT_EQ(r.name, "car");
  ASSERT_EQ(r.columns.size(), 2u);
  EXPECT_EQ(r.columns[0].typmod, -1);
  EXPECT_EQ(r.columns[1].name, "name");
  EXPECT_EQ(r.columns[1].type, 1043u);
  EXPECT_EQ(r.columns[1].typmod, 24);
}

TEST(ShipPgoutput, InsertAndUpdate) {
  std::string insert = "I" + be(16400, 4) + "N" + be(3, 2) + value('b', be(5, 8)) + "n" + value('t', "x");
  auto i = decode_message(insert);
  ASSERT_TRUE(i.ok());
  auto &row = std::get<RowMessage>(i.value());
  EXPECT_FALSE(row.update);
  ASSERT_EQ(row.values.size(), 3u);
  EXPECT_EQ(row.values[0].kind, TupleValue::binary);
  EXPECT_EQ(row.values[0].bytes, be(5, 8));
  EXPECT_EQ(row.values[1].kind, TupleValue::null);
  EXPECT_EQ(row.values[2].bytes, "x");

  std::string update = "U" + be(16400, 4) + "K" + be(1, 2) + value('b', "old") + "N" + be(2, 2) + value('b', "new") + "u";
  auto u = decode_message(update);
  ASSERT_TRUE(u.ok());
  auto &changed = std::get<RowMessage>(u.value());
  EXPECT_TRUE(changed.update);
  ASSERT_EQ(changed.values.size(), 2u);
  EXPECT_EQ(changed.values[0].bytes, "new");
  EXPECT_EQ(changed.values[1].kind, TupleValue::unchanged_toast);
}

TEST(ShipPgoutput, OthersAreReadOver) {
  for (std::string m : {"D"s, "T"s, "Y"s, "O"s, "M"s}) EXPECT_TRUE(decode_message(m + "rest").ok());
  EXPECT_FALSE(decode_message("").ok());
  EXPECT_FALSE(decode_message("Z").ok());
}

TEST(ShipPgoutput, TheMarkOfARowTooLarge) {
  auto m = decode_message(encode(OversizedMessage{uint64_t{5} << 30}));
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(std::get<OversizedMessage>(m.value()).bytes, uint64_t{5} << 30);
  EXPECT_FALSE(decode_message("!short").ok());
}

TEST(ShipPgoutput, TruncationAndNoiseAreRefused) {
  std::mt19937 rng(5);
  std::string insert = "I" + be(16400, 4) + "N" + be(2, 2) + value('b', be(5, 8)) + "n";
  for (const std::string &whole : {relation(), insert}) {
    for (size_t n = 0; n < whole.size(); n++) EXPECT_FALSE(decode_message(std::string_view(whole).substr(0, n)).ok());
    EXPECT_FALSE(decode_message(whole + "x").ok());
    for (int i = 0; i < 5000; i++) {
      std::string damaged = whole;
      damaged[1 + rng() % (damaged.size() - 1)] = static_cast<char>(rng());
      (void)decode_message(damaged);
    }
  }
}
