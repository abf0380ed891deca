// Conditions on segments: their text, what zones say of them, decimals between units.
#include <gtest/gtest.h>

#include <bit>
#include <limits>
#include <random>
#include <string>

#include "core/tier/condition.hpp"

namespace vectorshard::tier {
namespace {

Condition compare(Compare op, int64_t number, size_t column = 0) {
  Condition c;
  c.kind = Condition::Kind::compare;
  c.op = op;
  c.column = column;
  c.values.push_back({CellKind::int8, false, false, number, "", 0});
  return c;
}

Condition of(Condition::Kind kind, std::vector<Condition> parts) {
  Condition c;
  c.kind = kind;
  c.parts = std::move(parts);
  return c;
}

Condition is_null(size_t column) {
  Condition c;
  c.kind = Condition::Kind::is_null;
  c.column = column;
  return c;
}

std::string text(const Condition &c) { return condition_text(c, {false, [](size_t column) { return "c" + std::to_string(column); }}); }

Zone numbers(int64_t min, int64_t max, int64_t nulls = 0) {
  Zone z;
  z.has_range = true;
  z.min_number = min;
  z.max_number = max;
  z.nulls = nulls;
  return z;
}

TEST(TierCondition, Text) {
  EXPECT_EQ(text(of(Condition::Kind::all, {compare(Compare::less, 5), of(Condition::Kind::negated, {is_null(1)})})), "((c0 < '5'::BIGINT) AND (NOT (c1 IS NULL)))");
  EXPECT_EQ(text(of(Condition::Kind::any, {})), "FALSE");
  EXPECT_EQ(text(of(Condition::Kind::all, {})), "TRUE");
  EXPECT_EQ(literal_text({CellKind::text, false, false, 0, "it's \\", 0}, false), "'it''s \\'");
  EXPECT_EQ(literal_text({CellKind::text, false, false, 0, "a\x01", 0}, true), "'\\x61\\x01'::BLOB");
  EXPECT_EQ(literal_text({CellKind::timestamp, false, false, 0, "", 0}, false), "'2000-01-01 00:00:00.000000'::TIMESTAMP");
  EXPECT_EQ(literal_text({CellKind::timestamptz, false, false, -1, "", 0}, false), "'1999-12-31 23:59:59.999999+00'::TIMESTAMPTZ");
  EXPECT_EQ(literal_text({CellKind::timestamp, false, false, INT64_MIN, "", 0}, false), "'-infinity'::TIMESTAMP");
  EXPECT_EQ(literal_text({CellKind::timestamp, false, false, -64464472799999999, "", 0}, false), "'0044-03-15 (BC) 10:00:00.000001'::TIMESTAMP");
  EXPECT_EQ(literal_text({CellKind::timestamp, false, false, 316395158399500000, "", 0}, false), "'12026-02-28 23:59:59.500000'::TIMESTAMP");
  EXPECT_EQ(literal_text({CellKind::date, false, false, INT32_MAX, "", 0}, false), "'infinity'::DATE");
  EXPECT_EQ(literal_text({CellKind::decimal, false, false, -5, "", 2}, false), "'-0.05'::DECIMAL(18,2)");
  EXPECT_EQ(literal_text({CellKind::decimal, false, false, 12345, "", 0}, false), "'12345'::DECIMAL(18,0)");
  Value open;
  open.unknown = true;
  EXPECT_EQ(literal_text(open, false), "?");
}

Value float8(double d) { return {CellKind::float8, false, false, std::bit_cast<int64_t>(d), "", 0}; }

Condition of_float(Condition::Kind kind, Compare op, std::vector<Value> values) {
  Condition c;
  c.kind = kind;
  c.op = op;
  c.values = std::move(values);
  return c;
}

// A bloom filter knows the bits of a value alone.
TEST(TierCondition, FloatsThatAreEqualInMoreThanOneForm) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (double zero : {0.0, -0.0}) EXPECT_EQ(text(of_float(Condition::Kind::compare, Compare::equal, {float8(zero)})), "(abs(c0) = 0)");
  for (double d : {nan, -nan}) EXPECT_EQ(text(of_float(Condition::Kind::compare, Compare::equal, {float8(d)})), "(isnan(c0))");
  EXPECT_EQ(text(of_float(Condition::Kind::compare, Compare::equal, {float8(1.5)})), "(c0 = '1.5'::DOUBLE)");
  EXPECT_EQ(text(of_float(Condition::Kind::compare, Compare::less, {float8(0.0)})), "(c0 < '0'::DOUBLE)");
  EXPECT_EQ(text(of_float(Condition::Kind::in, Compare::equal, {float8(1.5), float8(-0.0), float8(nan)})), "(c0 IN ('1.5'::DOUBLE) OR abs(c0) = 0 OR isnan(c0))");
  EXPECT_EQ(text(of_float(Condition::Kind::in, Compare::equal, {float8(0.0)})), "(FALSE OR abs(c0) = 0)");
  Value zero{CellKind::float4, false, false, std::bit_cast<int32_t>(-0.0F), "", 0};
  EXPECT_EQ(text(of_float(Condition::Kind::compare, Compare::equal, {zero})), "(abs(c0) = 0)");
}

TEST(TierCondition, Zones) {
  std::vector<Zone> zones{numbers(10, 20), numbers(5, 5, 3)};
  EXPECT_FALSE(may_hold(compare(Compare::equal, 9), zones, 10));
  EXPECT_TRUE(may_hold(compare(Compare::equal, 10), zones, 10));
  EXPECT_FALSE(may_hold(compare(Compare::less, 10), zones, 10));
  EXPECT_TRUE(may_hold(compare(Compare::less_equal, 10), zones, 10));
  EXPECT_FALSE(may_hold(compare(Compare::greater, 20), zones, 10));
  EXPECT_TRUE(may_hold(compare(Compare::unequal, 15), zones, 10));
  EXPECT_FALSE(may_hold(compare(Compare::unequal, 5, 1), zones, 10));
  EXPECT_FALSE(may_hold(is_null(0), zones, 10));
  EXPECT_TRUE(may_hold(is_null(1), zones, 10));
  EXPECT_FALSE(may_hold(of(Condition::Kind::negated, {is_null(1)}), {numbers(0, 0), numbers(0, 0, 10)}, 10));
  EXPECT_TRUE(may_hold(of(Condition::Kind::negated, {is_null(1)}), zones, 10));
  // A column of which nothing is known.
  Zone unknown;
  unknown.nulls = -1;
  EXPECT_TRUE(may_hold(compare(Compare::equal, 9), {unknown}, 10));
  EXPECT_TRUE(may_hold(is_null(0), {unknown}, 10));
  // A value that will be known later.
  Condition later = compare(Compare::equal, 9);
  later.values[0].unknown = true;
  EXPECT_TRUE(may_hold(later, zones, 10));
  later.values[0].unknown = false;
  later.values[0].null = true;
  EXPECT_FALSE(may_hold(later, zones, 10));
}

/// What a comparison gives of a row's value.
bool holds(Compare op, double a, double b) {
  switch (op) {
    case Compare::equal: return a == b;
    case Compare::unequal: return a != b;
    case Compare::less: return a < b;
    case Compare::less_equal: return a <= b;
    case Compare::greater: return a > b;
    case Compare::greater_equal: return a >= b;
  }
  return false;
}

constexpr Compare kAll[] = {Compare::equal, Compare::unequal, Compare::less, Compare::less_equal, Compare::greater, Compare::greater_equal};

TEST(TierCondition, ZonesNeverHideARow) {
  std::mt19937 random(7);
  auto below = [&](int n) { return static_cast<int64_t>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 20000; round++) {
    std::vector<int64_t> rows;
    for (int64_t i = 0, n = 1 + below(4); i < n; i++) rows.push_back(below(8));
    Zone z = numbers(*std::min_element(rows.begin(), rows.end()), *std::max_element(rows.begin(), rows.end()));
    Condition a = compare(kAll[below(6)], below(10) - 1), b = compare(kAll[below(6)], below(10) - 1);
    auto kind = below(2) ? Condition::Kind::all : Condition::Kind::any;
    bool any = false;
    for (int64_t r : rows) {
      bool x = holds(a.op, static_cast<double>(r), static_cast<double>(a.values[0].number)), y = holds(b.op, static_cast<double>(r), static_cast<double>(b.values[0].number));
      any = any || (kind == Condition::Kind::all ? x && y : x || y);
    }
    EXPECT_TRUE(!any || may_hold(of(kind, {a, b}), {z}, static_cast<int64_t>(rows.size())));
  }
}

TEST(TierCondition, DecimalPlaces) {
  EXPECT_EQ(place_of("1.25", 2).units, 125);
  EXPECT_TRUE(place_of("1.2500", 2).exact);
  EXPECT_FALSE(place_of("1.251", 2).exact);
  EXPECT_EQ(place_of("-1.251", 2).units, -126);
  EXPECT_EQ(place_of("-0.001", 2).units, -1);
  EXPECT_EQ(place_of("NaN", 2).far, 1);
  EXPECT_EQ(place_of("-Infinity", 2).far, -1);
  EXPECT_EQ(place_of("12345678901234567890", 2).far, 1);
  EXPECT_EQ(place_of("-99999999999999999999999999999999999999999999999999", 0).far, -1);
  EXPECT_EQ(place_of("999999999999999999", 0).units, 999999999999999999);
}

// Values in hundredths against numbers in thousandths: the condition says what the comparison of the numbers does.
TEST(TierCondition, DecimalsBetweenUnits) {
  for (int units = -5; units <= 5; units++)
    for (int number = -60; number <= 60; number++)
      for (Compare op : kAll) {
        char text[16];
        snprintf(text, sizeof text, "%s%d.%03d", number < 0 ? "-" : "", std::abs(number) / 1000, std::abs(number) % 1000);
        Condition c = compare_decimal(0, 2, op, text);
        bool is = c.kind == Condition::Kind::each ? c.values[0].number != 0 : holds(c.op, units, static_cast<double>(c.values[0].number));
        EXPECT_EQ(is, holds(op, units * 10, number)) << units << " against " << text;
      }
  EXPECT_EQ(compare_decimal(0, 2, Compare::less, "NaN").values[0].number, 1);
  EXPECT_EQ(compare_decimal(0, 2, Compare::greater_equal, "NaN").values[0].number, 0);
  EXPECT_EQ(compare_decimal(0, 2, Compare::unequal, "Infinity").values[0].number, 1);
}

}  // namespace
}  // namespace vectorshard::tier
