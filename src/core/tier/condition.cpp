// Conditions on segments: see condition.hpp.
#include "core/tier/condition.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <optional>

namespace vectorshard::tier {

namespace {

constexpr int64_t kShiftDays = 10957, kShiftUs = 946684800000000;  // PostgreSQL's epoch, from 1970

const char *sign_of(Compare op) {
  switch (op) {
    case Compare::equal: return " = ";
    case Compare::unequal: return " <> ";
    case Compare::less: return " < ";
    case Compare::less_equal: return " <= ";
    case Compare::greater: return " > ";
    case Compare::greater_equal: return " >= ";
  }
  return "";
}

std::string quoted(std::string_view s) {
  std::string out = "'";
  for (char c : s) {
    if (c == '\'') out += c;
    out += c;
  }
  return out + "'";
}

std::string blob(std::string_view s) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out = "'";
  for (unsigned char c : s) {
    out += "\\x";
    out += kHex[c >> 4];
    out += kHex[c & 15];
  }
  return out + "'::BLOB";
}

std::string float_text(double d, const char *type) {
  char text[48];
  if (std::isnan(d))
    snprintf(text, sizeof text, "'nan'::%s", type);
  else if (std::isinf(d))
    snprintf(text, sizeof text, "'%s'::%s", d > 0 ? "inf" : "-inf", type);
  else
    snprintf(text, sizeof text, "'%.17g'::%s", d, type);
  return text;
}

std::string date_text(int64_t days) {
  if (days == INT32_MIN) return "'-infinity'::DATE";
  if (days == INT32_MAX) return "'infinity'::DATE";
  return "(DATE '1970-01-01' + " + std::to_string(days + kShiftDays) + ")";
}

/// Civil date of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_to_civil), as DuckDB reads it.
std::string civil(int64_t days) {
  int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
  auto doe = static_cast<uint64_t>(z - era * 146097);
  uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365, doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
  int64_t month = static_cast<int64_t>(mp < 10 ? mp + 3 : mp - 9), year = static_cast<int64_t>(yoe) + era * 400 + (month <= 2);
  char text[48];
  bool before = year <= 0;
  snprintf(text, sizeof text, "%04lld-%02lld-%02llu%s", static_cast<long long>(before ? 1 - year : year), static_cast<long long>(month),
           static_cast<unsigned long long>(doy - (153 * mp + 2) / 5 + 1), before ? " (BC)" : "");
  return text;
}

std::string timestamp_text(int64_t us, const char *type, const char *zone) {
  std::string of = std::string("::") + type;
  if (us == INT64_MIN) return "'-infinity'" + of;
  if (us == INT64_MAX) return "'infinity'" + of;
  constexpr int64_t kDayUs = 86400000000;
  int64_t day = us / kDayUs, in_day = us % kDayUs;
  if (in_day < 0) day--, in_day += kDayUs;
  char time[48];
  snprintf(time, sizeof time, " %02d:%02d:%02d.%06d%s", static_cast<int>(in_day / 3600000000), static_cast<int>(in_day / 60000000 % 60),
           static_cast<int>(in_day / 1000000 % 60), static_cast<int>(in_day % 1000000), zone);
  return "'" + civil(day + kShiftDays) + time + "'" + of;
}

std::string decimal_text(int64_t units, int scale) {
  std::string digits = std::to_string(units < 0 ? -units : units);
  if (static_cast<int>(digits.size()) <= scale) digits.insert(0, static_cast<size_t>(scale) + 1 - digits.size(), '0');
  digits.insert(digits.size() - static_cast<size_t>(scale), scale ? "." : "");
  return std::string("'") + (units < 0 ? "-" : "") + digits + "'::DECIMAL(18," + std::to_string(scale) + ")";
}

std::string joined(const std::vector<Condition> &parts, const TextForm &form, const char *word, const char *none) {
  std::string out;
  for (const Condition &p : parts) out += (out.empty() ? "(" : word) + condition_text(p, form);
  return out.empty() ? none : out + ")";
}

/// The value of a float.
std::optional<double> float_of(const Value &v) {
  if (v.null || v.unknown) return std::nullopt;
  if (v.kind == CellKind::float4) return std::bit_cast<float>(static_cast<int32_t>(v.number));
  if (v.kind == CellKind::float8) return std::bit_cast<double>(v.number);
  return std::nullopt;
}

/// DuckDB looks for a constant in a bloom filter by its bits, but floats that are equal may have others: of zero there are two forms, of NaN many.
/// The comparison with such a value by a function; empty: the value has one form.
std::string any_form_text(const std::string &field, const Value &v) {
  std::optional<double> d = float_of(v);
  if (!d || (*d != 0 && !std::isnan(*d))) return "";
  return *d == 0 ? "abs(" + field + ") = 0" : "isnan(" + field + ")";
}

std::string equals_text(const std::string &field, const Value &v, bool text_as_blob) {
  std::string any_form = any_form_text(field, v);
  return any_form.empty() ? field + " = " + literal_text(v, text_as_blob) : any_form;
}

/// column IN (values).
std::string in_text(const std::string &field, const std::vector<Value> &values, bool text_as_blob) {
  std::string list, others;
  for (const Value &v : values)
    if (std::string any_form = any_form_text(field, v); !any_form.empty())
      others += " OR " + any_form;
    else
      list += (list.empty() ? "" : ", ") + literal_text(v, text_as_blob);
  std::string in = list.empty() ? "FALSE" : field + " IN (" + list + ")";
  return "(" + in + others + ")";
}

const char *truth_text(const Value &v) { return v.unknown ? "?" : v.null ? "NULL::BOOLEAN" : v.number ? "TRUE" : "FALSE"; }

}  // namespace

Compare turned(Compare op) {
  switch (op) {
    case Compare::less: return Compare::greater;
    case Compare::less_equal: return Compare::greater_equal;
    case Compare::greater: return Compare::less;
    case Compare::greater_equal: return Compare::less_equal;
    default: return op;
  }
}

Condition all_of(std::vector<Condition> parts) {
  if (parts.size() == 1) return std::move(parts[0]);
  Condition out;
  out.kind = Condition::Kind::all;
  out.parts = std::move(parts);
  return out;
}

std::string literal_text(const Value &v, bool text_as_blob) {
  if (v.unknown) return "?";
  if (v.null) return "NULL";
  switch (v.kind) {
    case CellKind::boolean: return v.number ? "TRUE" : "FALSE";
    case CellKind::int2:
    case CellKind::int4:
    case CellKind::int8: return "'" + std::to_string(v.number) + "'::BIGINT";
    case CellKind::float4: return float_text(static_cast<double>(std::bit_cast<float>(static_cast<int32_t>(v.number))), "FLOAT");
    case CellKind::float8: return float_text(std::bit_cast<double>(v.number), "DOUBLE");
    case CellKind::date: return date_text(v.number);
    case CellKind::timestamp: return timestamp_text(v.number, "TIMESTAMP", "");
    case CellKind::timestamptz: return timestamp_text(v.number, "TIMESTAMPTZ", "+00");
    case CellKind::decimal: return decimal_text(v.number, v.scale);
    case CellKind::text:
    case CellKind::output: return text_as_blob ? blob(v.bytes) : quoted(v.bytes);
    case CellKind::bytes:
    case CellKind::wkb:
    case CellKind::send: return blob(v.bytes);
  }
  return "NULL";
}

std::string condition_text(const Condition &c, const TextForm &form) {
  switch (c.kind) {
    case Condition::Kind::all: return joined(c.parts, form, " AND ", "TRUE");
    case Condition::Kind::any: return joined(c.parts, form, " OR ", "FALSE");
    case Condition::Kind::negated: return "(NOT " + condition_text(c.parts[0], form) + ")";
    case Condition::Kind::compare:
      if (c.op == Compare::equal) return "(" + equals_text(form.field(c.column), c.values[0], form.text_as_blob) + ")";
      return "(" + form.field(c.column) + sign_of(c.op) + literal_text(c.values[0], form.text_as_blob) + ")";
    case Condition::Kind::columns: return "(" + form.field(c.column) + sign_of(c.op) + form.field(c.other) + ")";
    case Condition::Kind::is_null: return "(" + form.field(c.column) + " IS NULL)";
    case Condition::Kind::truth: return form.field(c.column);
    case Condition::Kind::like: return "(" + form.field(c.column) + " LIKE " + literal_text(c.values[0], form.text_as_blob) + ")";
    case Condition::Kind::constant: return truth_text(c.values[0]);
    case Condition::Kind::each: return "(" + form.field(c.column) + (c.values[0].number ? " = " : " <> ") + form.field(c.column) + ")";
    case Condition::Kind::in: return in_text(form.field(c.column), c.values, form.text_as_blob);
  }
  return "TRUE";
}

namespace {

/// -1, 0 or 1, as the value is below, in or above the zone.
int side(const Zone &z, const Value &v) {
  if (is_string(v.kind)) return v.bytes < z.min_text ? -1 : v.bytes > z.max_text ? 1 : 0;
  return v.number < z.min_number ? -1 : v.number > z.max_number ? 1 : 0;
}

bool only_value(const Zone &z, const Value &v) {
  return is_string(v.kind) ? z.min_text == v.bytes && z.max_text == v.bytes : z.min_number == v.number && z.max_number == v.number;
}

bool is_min(const Zone &z, const Value &v) { return is_string(v.kind) ? z.min_text == v.bytes : z.min_number == v.number; }
bool is_max(const Zone &z, const Value &v) { return is_string(v.kind) ? z.max_text == v.bytes : z.max_number == v.number; }

bool may_compare(const Zone &z, Compare op, const Value &v) {
  if (v.unknown) return true;
  if (v.null) return false;
  int at = side(z, v);
  switch (op) {
    case Compare::equal: return at == 0;
    case Compare::unequal: return !only_value(z, v);
    case Compare::less: return at > 0 || (at == 0 && !is_min(z, v));
    case Compare::less_equal: return at >= 0;
    case Compare::greater: return at < 0 || (at == 0 && !is_max(z, v));
    case Compare::greater_equal: return at <= 0;
  }
  return true;
}

}  // namespace

bool may_hold(const Condition &c, const std::vector<Zone> &zones, int64_t rows) {
  auto part_may = [&](const Condition &p) { return may_hold(p, zones, rows); };
  auto ranged = [&]() { return c.column < zones.size() && zones[c.column].has_range && zones[c.column].text_usable; };
  bool nulls_only = c.column < zones.size() && rows > 0 && zones[c.column].nulls == rows;
  switch (c.kind) {
    case Condition::Kind::all: return std::all_of(c.parts.begin(), c.parts.end(), part_may);
    case Condition::Kind::any: return std::any_of(c.parts.begin(), c.parts.end(), part_may);
    case Condition::Kind::negated:
      return !(c.parts[0].kind == Condition::Kind::is_null && c.parts[0].column < zones.size() && rows > 0 && zones[c.parts[0].column].nulls == rows);
    case Condition::Kind::compare: return !nulls_only && (!ranged() || may_compare(zones[c.column], c.op, c.values[0]));
    case Condition::Kind::in:
      return !nulls_only && (!ranged() || std::any_of(c.values.begin(), c.values.end(), [&](const Value &v) { return may_compare(zones[c.column], Compare::equal, v); }));
    case Condition::Kind::is_null: return c.column >= zones.size() || zones[c.column].nulls != 0;
    case Condition::Kind::constant:
    case Condition::Kind::each: return c.values[0].unknown || (!c.values[0].null && c.values[0].number != 0);
    default: return !nulls_only;
  }
}

DecimalPlace place_of(std::string_view number, int scale) {
  DecimalPlace out;
  if (number == "NaN" || number == "Infinity") return {0, false, 1};
  if (number == "-Infinity") return {0, false, -1};
  bool negative = !number.empty() && number[0] == '-';
  if (negative) number.remove_prefix(1);
  size_t point = number.find('.');
  std::string_view whole = number.substr(0, point), rest = point == std::string_view::npos ? "" : number.substr(point + 1);
  __int128 units = 0;
  constexpr __int128 kMost = 1000000000000000000;  // more than kDecimalDigitsMax digits
  auto add = [&](char digit) { units = units >= kMost ? kMost : units * 10 + (digit - '0'); };
  for (char d : whole) add(d);
  for (int i = 0; i < scale; i++) add(static_cast<size_t>(i) < rest.size() ? rest[static_cast<size_t>(i)] : '0');
  out.exact = rest.size() <= static_cast<size_t>(scale) || rest.find_first_not_of('0', static_cast<size_t>(scale)) == std::string_view::npos;
  if (negative) units = -units - (out.exact ? 0 : 1);
  if (units >= kMost) return {0, false, 1};
  if (units <= -kMost) return {0, false, -1};
  out.units = static_cast<int64_t>(units);
  return out;
}

namespace {

Condition for_each_value(size_t column, bool holds) {
  Condition c;
  c.kind = Condition::Kind::each;
  c.column = column;
  c.values.push_back({CellKind::boolean, false, false, holds, "", 0});
  return c;
}

}  // namespace

Condition compare_decimal(size_t column, int scale, Compare op, std::string_view number) {
  DecimalPlace place = place_of(number, scale);
  bool below = op == Compare::less || op == Compare::less_equal;
  if (op == Compare::equal && !place.exact) return for_each_value(column, false);
  if (op == Compare::unequal && !place.exact) return for_each_value(column, true);
  if (place.far) return for_each_value(column, below == (place.far > 0));
  Condition c;
  c.kind = Condition::Kind::compare;
  c.column = column;
  // Between two multiples: what is below the number is at most the lower one, what is above it is above that.
  c.op = place.exact ? op : below ? Compare::less_equal : Compare::greater;
  c.values.push_back({CellKind::decimal, false, false, place.units, "", scale});
  return c;
}

}  // namespace vectorshard::tier
