// Pieces of keys: what is found is what a search row by row finds, for every kind and at the ends of its range; nulls, repeated keys, empty pieces.
#include "core/tier/key_piece.hpp"

#include <gtest/gtest.h>

#include <random>

namespace vectorshard::tier {
namespace {

using Columns = std::vector<std::vector<Cell>>;

Cell number(int64_t n) { return {false, n, {}}; }
Cell bytes(std::string_view s) { return {false, 0, s}; }
Value value(CellKind kind, int64_t n, std::string s = "") { return {kind, false, false, n, std::move(s), 0}; }

std::vector<uint32_t> found(const KeyPiece &piece, const std::vector<Value> &key) {
  std::vector<uint32_t> rows;
  piece.find(key, &rows);
  return rows;
}
using Rows = std::vector<uint32_t>;

TEST(TierKeyPiece, EndsOfTheRange) {
  const std::vector<int64_t> numbers{INT64_MIN, INT64_MAX, 0, -1, INT64_MIN, 1};
  KeyPiece piece({CellKind::timestamp});
  Columns columns(1);
  for (int64_t n : numbers) columns[0].push_back(number(n));
  ASSERT_TRUE(piece.add(columns, numbers.size()));
  piece.seal();
  EXPECT_EQ(found(piece, {value(CellKind::timestamp, INT64_MIN)}), (Rows{0, 4}));
  EXPECT_EQ(found(piece, {value(CellKind::timestamp, INT64_MAX)}), Rows{1});
  EXPECT_EQ(found(piece, {value(CellKind::timestamp, -1)}), Rows{3});
  EXPECT_EQ(found(piece, {value(CellKind::timestamp, 2)}), Rows{});
}

TEST(TierKeyPiece, BeyondWhatIsThereIsNotCutOff) {
  KeyPiece piece({CellKind::int4, CellKind::int8});
  ASSERT_TRUE(piece.add({{number(100), number(355)}, {number(7), number(7)}}, 2));
  piece.seal();
  EXPECT_EQ(found(piece, {value(CellKind::int8, 355), value(CellKind::int8, 7)}), Rows{1});
  for (int64_t n : {99L, 356L, 100L + 256, 100L - 256, 355L + (1L << 32), INT64_MIN, INT64_MAX}) EXPECT_EQ(found(piece, {value(CellKind::int8, n), value(CellKind::int8, 7)}), Rows{});
  // The second column has one value, which takes no byte.
  for (int64_t n : {6L, 8L, 7L + 256}) EXPECT_EQ(found(piece, {value(CellKind::int8, 100), value(CellKind::int8, n)}), Rows{});
}

TEST(TierKeyPiece, NullsEqualNothing) {
  KeyPiece piece({CellKind::int4, CellKind::text});
  ASSERT_TRUE(piece.add({{number(0), Cell{}, number(0), Cell{}}, {bytes(""), bytes(""), Cell{}, Cell{}}}, 4));
  piece.seal();
  EXPECT_EQ(found(piece, {value(CellKind::int8, 0), value(CellKind::text, 0, "")}), Rows{0});
  Value null = value(CellKind::int8, 0);
  null.null = true;
  EXPECT_EQ(found(piece, {null, value(CellKind::text, 0, "")}), Rows{});
}

TEST(TierKeyPiece, StringsDoNotRunIntoEachOther) {
  KeyPiece piece({CellKind::text, CellKind::text});
  ASSERT_TRUE(piece.add({{bytes("ab"), bytes("a"), bytes("abc")}, {bytes("c"), bytes("bc"), bytes("")}}, 3));
  piece.seal();
  EXPECT_EQ(found(piece, {value(CellKind::text, 0, "a"), value(CellKind::text, 0, "bc")}), Rows{1});
  EXPECT_EQ(found(piece, {value(CellKind::text, 0, "ab"), value(CellKind::text, 0, "c")}), Rows{0});
  EXPECT_EQ(found(piece, {value(CellKind::text, 0, "ab"), value(CellKind::text, 0, "")}), Rows{});
}

TEST(TierKeyPiece, Uuids) {
  const std::string a = "00000000-0000-0000-0000-000000000000", b = "0123abcd-ef01-2345-6789-abcdef012345";
  KeyPiece piece({CellKind::output});
  ASSERT_TRUE(piece.add({{bytes(a), bytes(b), Cell{}}}, 3));
  piece.seal();
  EXPECT_EQ(found(piece, {value(CellKind::output, 0, a)}), Rows{0});
  EXPECT_EQ(found(piece, {value(CellKind::output, 0, b)}), Rows{1});
  EXPECT_EQ(found(piece, {value(CellKind::output, 0, "0123abcd-ef01-2345-6789-abcdef012346")}), Rows{});
  for (std::string text : {"1", "0123abcd-ef01-2345-6789-abcdef01234", "0123abcd-ef01-2345-6789-abcdef01234g", "0123ABCD-ef01-2345-6789-abcdef012345", "0123abcdaef01-2345-6789-abcdef012345"}) {
    KeyPiece odd({CellKind::output});
    EXPECT_FALSE(odd.add({{bytes(text)}}, 1)) << text;
  }
}

TEST(TierKeyPiece, NothingAndTooMuch) {
  KeyPiece empty({CellKind::int8});
  empty.seal();
  EXPECT_EQ(found(empty, {value(CellKind::int8, 0)}), Rows{});
  KeyPiece full({CellKind::boolean});
  std::vector<Cell> column(KeyPiece::kRowsMax, number(1));
  column[5] = number(0);
  ASSERT_TRUE(full.add({column}, column.size()));
  EXPECT_FALSE(full.add({column}, 1));
  full.seal();
  EXPECT_EQ(found(full, {value(CellKind::boolean, 0)}), Rows{5});
  EXPECT_EQ(found(full, {value(CellKind::boolean, 1)}).size(), column.size() - 1);
  EXPECT_FALSE(KeyPiece::takes(CellKind::float8));
  EXPECT_FALSE(KeyPiece::takes(CellKind::send));
}

TEST(TierKeyPiece, AsBySearchingAndSmall) {
  std::mt19937 random(7);
  constexpr size_t kRows = 20000;
  std::vector<std::string> names;
  for (int i = 0; i < 40; i++) names.push_back("name " + std::to_string(i));
  Columns columns(3);
  for (size_t r = 0; r < kRows; r++) {
    columns[0].push_back(random() % 50 ? number(1000000000000 + static_cast<int64_t>(random() % 300)) : Cell{});
    columns[1].push_back(number(-static_cast<int64_t>(random() % 5)));
    columns[2].push_back(bytes(names[random() % names.size()]));
  }
  KeyPiece piece({CellKind::int8, CellKind::date, CellKind::text});
  ASSERT_TRUE(piece.add(columns, kRows));
  piece.seal();
  for (int i = 0; i < 500; i++) {
    std::vector<Value> key{value(CellKind::int8, 1000000000000 + static_cast<int64_t>(random() % 310)), value(CellKind::date, -static_cast<int64_t>(random() % 6)), value(CellKind::text, 0, names[random() % names.size()])};
    Rows right;
    for (uint32_t r = 0; r < kRows; r++)
      if (!columns[0][r].null && columns[0][r].number == key[0].number && columns[1][r].number == key[1].number && columns[2][r].bytes == key[2].bytes) right.push_back(r);
    ASSERT_EQ(found(piece, key), right);
  }
  KeyPiece numbers({CellKind::int8, CellKind::date});
  ASSERT_TRUE(numbers.add({columns[0], columns[1]}, kRows));
  numbers.seal();
  EXPECT_LT(numbers.bytes(), kRows * 8);
}

}  // namespace
}  // namespace vectorshard::tier
