// Ranges of a table's primary key, for reading a table in portions: conditions on the key as a row, with bounds in the text
// form of key_text(). Each node compares by its own collations: two nodes may cut differently, which a reader must stand.
#pragma once
#include <string>
#include <vector>

#include "pg/bridge/tables.hpp"

namespace vectorshard::bridge {

/// Keys after `after`, up to and with `upto`; an empty bound is open.
struct KeyRange {
  std::vector<std::string> after, upto;
};

/// The key's columns, quoted: "a, b".
std::string key_columns(const EnrolledTable &table);
/// "ROW(a, b) OP ROW(($n)[1]::type, …)" where parameter n is text[].
std::string key_compared(const EnrolledTable &table, const std::string &op, int parameter);
/// "TRUE AND … AND …" for the bounds of `range` that are not open: `after` is parameter n, `upto` parameter n + 1.
std::string key_within(const EnrolledTable &table, const KeyRange &range, int parameter);

}  // namespace vectorshard::bridge
