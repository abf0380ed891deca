// Conditions on the rows of a segment, in the terms in which it keeps its columns: what makes them true, false and null is what makes the
// SQL conditions so that they were made of. From one condition come the text that DuckDB gets and the answer to whether a zone can have
// a row of it. Pure: no clock, no database. Making a condition that means the same is src/pg/tier/segment_condition.cpp's part.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/types.hpp"

namespace vectorshard::tier {

enum class Compare : uint8_t { equal, unequal, less, less_equal, greater, greater_equal };
/// The same comparison from the other side.
Compare turned(Compare op);

/// A value to compare a column with, in the units of the column's kind (Cell). `unknown`: it will only be known when the scan runs.
struct Value {
  CellKind kind = CellKind::int8;
  bool null = false, unknown = false;
  int64_t number = 0;
  std::string bytes;
  int scale = 0;  // of a decimal
};

struct Condition {
  enum class Kind : uint8_t {
    all,      // of the parts
    any,      // of the parts
    negated,  // the one part
    compare,  // column op value
    columns,  // column op other
    in,       // column = one of the values
    is_null,  // column is null
    truth,    // a boolean column
    like,     // column matches the pattern in the value, which has no escapes
    constant, // true or false for every row, by `number` of the value; null if that is null
    each,     // true or false for every row where column is not null, by `number` of the value; else null
  };
  Kind kind = Kind::constant;
  std::vector<Condition> parts;
  Compare op = Compare::equal;
  size_t column = 0, other = 0;  // of the manifest
  std::vector<Value> values;
};

Condition all_of(std::vector<Condition> parts);

/// Whether a value is the same in DuckDB's text form: text of a UTF-8 server; false makes strings blobs.
struct TextForm {
  bool text_as_blob = false;
  std::function<std::string(size_t column)> field;  // the quoted name of a column
};

/// As a boolean expression of DuckDB. A value that is unknown becomes a question mark: such a text is for people.
std::string condition_text(const Condition &condition, const TextForm &form);

/// A value as a literal of DuckDB.
std::string literal_text(const Value &value, bool text_as_blob);

/// False only if no row of `rows` rows with these zones can make the condition true. A zone that is not known has no range and
/// nulls < 0. Values that are unknown can be anything.
bool may_hold(const Condition &condition, const std::vector<Zone> &zones, int64_t rows);

/// A decimal number (PostgreSQL's text form, no exponent) as a place among the multiples of 10^-scale: the greatest such multiple that is
/// not above it, in units, and whether it is that one. Beyond what a decimal column can hold: far below (-1) or above (1); NaN is far above.
struct DecimalPlace {
  int64_t units = 0;
  bool exact = false;
  int far = 0;
};
DecimalPlace place_of(std::string_view number, int scale);

/// `column op number` where the column holds multiples of 10^-scale.
Condition compare_decimal(size_t column, int scale, Compare op, std::string_view number);

}  // namespace vectorshard::tier
