// Manifest JSON, zones and row digests.
#include <gtest/gtest.h>

#include <string>

#include "core/tier/digest.hpp"
#include "core/tier/types.hpp"

namespace vectorshard::tier {
namespace {

Cell number(int64_t v) { return {false, v, {}}; }
Cell bytes(std::string_view s) { return {false, 0, s}; }

RowDigest row(std::initializer_list<std::pair<CellKind, Cell>> cells) {
  RowHasher h;
  h.begin();
  for (auto &[kind, cell] : cells) h.cell(kind, cell);
  return h.end();
}

TEST(TierManifest, KindNamesRoundTrip) {
  for (int i = 0; i <= static_cast<int>(CellKind::wkb); i++) {
    auto kind = static_cast<CellKind>(i);
    EXPECT_EQ(cell_kind_of(cell_kind_name(kind)), kind);
  }
  EXPECT_FALSE(cell_kind_of("geometry"));
}

TEST(TierManifest, ColumnsJson) {
  EXPECT_EQ(columns_json({{"a\"b", "integer", 1, CellKind::int4}, {"g", "geometry", 3, CellKind::send}}),
            R"([{"name": "a\"b", "type": "integer", "attnum": 1, "kind": "int4"}, )"
            R"({"name": "g", "type": "geometry", "attnum": 3, "kind": "send"}])");
  EXPECT_EQ(columns_json({{"d", "numeric(12,2)", 2, CellKind::decimal, 12, 2}}),
            R"j([{"name": "d", "type": "numeric(12,2)", "attnum": 2, "kind": "decimal", "precision": 12, "scale": 2}])j");
  EXPECT_EQ(json_string("a\\\n"), "\"a\\\\\\u000a\"");
}

TEST(TierManifest, Zones) {
  ZoneMap z({{"n", "integer", 1, CellKind::int4}, {"t", "text", 2, CellKind::text}, {"l", "text", 3, CellKind::text}});
  std::string longer(100, 'x');
  std::vector<Cell> rows = {number(5), bytes("b"), bytes("a"), number(-3), bytes("a"), bytes(longer), Cell{}, bytes("b"), bytes("b")};
  for (size_t c = 0; c < 3; c++) z.add(c, rows.data() + c, 3, 3);
  EXPECT_EQ(z.json(), R"({"n": {"nulls": 1, "min": -3, "max": 5}, "t": {"nulls": 0, "min": "a", "max": "b"}, )"
                      R"("l": {"nulls": 0}})");
}

TEST(TierDigest, OrderDoesNotMatterContentDoes) {
  RowDigest a = row({{CellKind::int4, number(1)}, {CellKind::text, bytes("x")}});
  RowDigest b = row({{CellKind::int4, number(2)}, {CellKind::text, bytes("y")}});
  RowDigest ab, ba;
  ab.add(a);
  ab.add(b);
  ba.add(b);
  ba.add(a);
  EXPECT_EQ(ab, ba);
  EXPECT_EQ(ab.rows, 2);
  RowDigest aa;
  aa.add(a);
  aa.add(a);
  EXPECT_NE(aa, ab);
  EXPECT_NE(aa.hex(), RowDigest{}.hex()) << "a row twice does not cancel out";
}

TEST(TierDigest, CellsDoNotRunIntoEachOther) {
  EXPECT_NE(row({{CellKind::text, bytes("ab")}, {CellKind::text, bytes("c")}}),
            row({{CellKind::text, bytes("a")}, {CellKind::text, bytes("bc")}}));
  EXPECT_NE(row({{CellKind::text, bytes("")}}), row({{CellKind::text, Cell{}}}));
  EXPECT_NE(row({{CellKind::int8, number(0)}}), row({{CellKind::int8, Cell{}}}));
}

TEST(TierDigest, KnownValue) {
  // The format is on disk (segment.content): it must not change by accident.
  EXPECT_EQ(row({{CellKind::int4, number(1)}, {CellKind::text, bytes("client")}, {CellKind::send, Cell{}}}).hex(),
            "aeb66c7476f2701dc2c11e007137e4e9");
}

}  // namespace
}  // namespace vectorshard::tier
