// The SQL that one node sends another: put together from names, values and conditions as text. It must never let a name
// or a value end its quotes: everything that comes from a user passes quote_name or quote_value.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"

namespace vectorshard::read {

/// A column and the text of a value; no value is NULL.
struct ColumnValue {
  std::string column;
  std::optional<std::string> value;
};

/// What a SELECT of rows elsewhere asks for. Names are plain, not quoted, except `table`.
struct SelectSpec {
  std::string table;                           // "schema.table", quoted where needed
  std::string client_column;
  std::vector<std::string> columns;            // at least one, or outputs
  std::vector<std::string> state_columns;      // of these: values that merge, asked for with their full state
  std::optional<std::vector<std::string>> clients;  // only these; nullopt: those whose home is `home`
  std::string parameter;                       // EXPLAIN: stands for the names, or the home, that are not known yet
  NodeId home = kNoNode;                       // used when `clients` is nullopt
  std::vector<std::string> leave_out;          // clients that the asker holds itself; used when `clients` is nullopt
  std::vector<std::string> conditions;         // SQL expressions over the table's columns
  std::string locking;                         // "", or what follows FOR ("UPDATE", "KEY SHARE NOWAIT")
  std::vector<std::string> outputs;            // instead of columns: SQL expressions
  bool distinct = false;
  size_t groups = 0;                           // GROUP BY so many of the outputs, from the first
  std::vector<std::string> order;              // what follows ORDER BY
  long limit = 0;                              // 0: none
  /// A piece of what follows FROM in place of `table`; behind it, if `client` (an SQL expression) is not empty, stands the condition that that
  /// client is one of those asked for.
  struct Piece {
    std::string text, client;
  };
  std::vector<Piece> from;
};

/// "name", with quotes doubled.
std::string quote_name(std::string_view name);
/// 'value', with quotes doubled; E'…' where there are backslashes, so that standard_conforming_strings does not matter.
std::string quote_value(std::string_view value);
/// The text of an array of texts: {"a","b"}.
std::string array_text(const std::vector<std::string> &items);

std::string select_statement(const SelectSpec &spec);
/// The same of the local heap of a node that may hold copies of `clients`. A first column more: whether it holds them all,
/// under the snapshot of the rows; if not, or if there are no rows, one row without values follows.
std::string holder_statement(const SelectSpec &spec);
/// UPDATE of the one row with this key, with RETURNING if `returning` is not empty. `only`: of the local heap.
std::string update_statement(const std::string &table, bool only, const std::vector<ColumnValue> &set,
                             const std::vector<ColumnValue> &key, const std::vector<std::string> &returning);
/// INSERT of one row; `or_nothing`: ON CONFLICT DO NOTHING. Values of identity columns are taken as they are.
std::string insert_statement(const std::string &table, const std::vector<ColumnValue> &row, bool or_nothing,
                             const std::vector<std::string> &returning);
/// SELECT … FOR UPDATE of the one row with this key.
std::string locking_statement(const std::string &table, const std::vector<ColumnValue> &key, const std::vector<std::string> &columns);
std::string delete_statement(const std::string &table, bool only, const std::vector<ColumnValue> &key,
                             const std::vector<std::string> &returning);

}  // namespace vectorshard::read
