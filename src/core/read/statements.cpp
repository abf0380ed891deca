// Statements for other nodes: see statements.hpp.
#include "core/read/statements.hpp"

#include <algorithm>

namespace vectorshard::read {

namespace {

std::string join(const std::vector<std::string> &items, const char *between) {
  std::string out;
  for (const auto &i : items) out += (out.empty() ? "" : between) + i;
  return out;
}

std::string column_list(const std::vector<std::string> &columns) {
  std::vector<std::string> quoted;
  for (const auto &c : columns) quoted.push_back(quote_name(c));
  return join(quoted, ", ");
}

// No casts: a literal without one takes the column's type on whatever node it runs.
std::string assignment(const ColumnValue &c) {
  return quote_name(c.column) + " = " + (c.value ? quote_value(*c.value) : "NULL");
}

std::string key_condition(const std::vector<ColumnValue> &key) {
  std::vector<std::string> parts;
  for (const auto &k : key) parts.push_back(assignment(k));
  return join(parts, " AND ");
}

std::string returning_clause(const std::vector<std::string> &columns) {
  return columns.empty() ? "" : " RETURNING " + column_list(columns);
}

std::vector<std::string> at_home(const SelectSpec &spec, const std::string &column) {
  std::string client_text = "(" + column + ")::text COLLATE \"C\"";
  std::string home = spec.parameter.empty() ? std::to_string(spec.home) : spec.parameter;
  std::vector<std::string> where{"EXISTS (SELECT FROM vectorshard.client h WHERE h.client = " + client_text + " AND h.home = " + home + ")"};
  if (!spec.leave_out.empty()) where.push_back(client_text + " <> ALL (" + quote_value(array_text(spec.leave_out)) + "::text[])");
  return where;
}

std::vector<std::string> conditions_of(const SelectSpec &spec) {
  std::string column = "t." + quote_name(spec.client_column);
  std::vector<std::string> where;
  const std::string &given = spec.parameter;
  if (!spec.from.empty()) {
    // Stands with its tables.
  } else if (!spec.clients) {
    where = at_home(spec, column);
  } else if (spec.clients->size() == 1) {
    where.push_back(column + " = " + (given.empty() ? quote_value(spec.clients->front()) : given));
  } else {
    where.push_back(column + " = ANY (" + (given.empty() ? quote_value(array_text(*spec.clients)) : given) + ")");
  }
  for (const auto &c : spec.conditions) where.push_back("(" + c + ")");
  return where;
}

std::string source_of(const SelectSpec &spec) {
  if (spec.from.empty()) return spec.table + " t";
  std::string out;
  for (const auto &piece : spec.from) out += piece.text + (piece.client.empty() ? "" : join(at_home(spec, piece.client), " AND "));
  return out;
}

std::vector<std::string> selected(const SelectSpec &spec) {
  if (!spec.outputs.empty()) return spec.outputs;
  std::vector<std::string> columns;
  for (const auto &c : spec.columns) {
    bool state = std::find(spec.state_columns.begin(), spec.state_columns.end(), c) != spec.state_columns.end();
    columns.push_back(state ? "vectorshard.crdt_state(t." + quote_name(c) + ")" : "t." + quote_name(c));
  }
  return columns;
}

}  // namespace

std::string quote_name(std::string_view name) {
  std::string out = "\"";
  for (char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string quote_value(std::string_view value) {
  std::string out = value.find('\\') == std::string_view::npos ? "'" : "E'";
  for (char c : value) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + '\'';
}

std::string array_text(const std::vector<std::string> &items) {
  std::string out = "{";
  for (const auto &item : items) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (char c : item) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return out + "}";
}

namespace {

/// What stands behind the conditions.
std::string ending(const SelectSpec &spec) {
  std::string out;
  for (size_t i = 1; i <= spec.groups; i++) out += (i == 1 ? " GROUP BY " : ", ") + std::to_string(i);
  if (!spec.order.empty()) out += " ORDER BY " + join(spec.order, ", ");
  if (spec.limit > 0) out += " LIMIT " + std::to_string(spec.limit);
  return out + (spec.locking.empty() ? "" : " FOR " + spec.locking);
}

}  // namespace

std::string select_statement(const SelectSpec &spec) {
  std::string where = join(conditions_of(spec), " AND ");
  return std::string("SELECT ") + (spec.distinct ? "DISTINCT " : "") + join(selected(spec), ", ") + " FROM " + source_of(spec) +
         (where.empty() ? "" : " WHERE " + where) + ending(spec);
}

std::string holder_statement(const SelectSpec &spec) {
  const std::string &given = spec.parameter;
  std::string names = given.empty() ? quote_value(array_text(*spec.clients)) : given;
  return "WITH h AS MATERIALIZED (SELECT vectorshard.holds(" + names + "::text[]) AS holds) SELECT h.holds, " +
         join(selected(spec), ", ") + " FROM h LEFT JOIN ONLY " + spec.table + " t ON h.holds AND " +
         join(conditions_of(spec), " AND ");
}

std::string update_statement(const std::string &table, bool only, const std::vector<ColumnValue> &set,
                             const std::vector<ColumnValue> &key, const std::vector<std::string> &returning) {
  std::vector<std::string> parts;
  for (const auto &c : set) parts.push_back(assignment(c));
  return std::string("UPDATE ") + (only ? "ONLY " : "") + table + " SET " + join(parts, ", ") + " WHERE " +
         key_condition(key) + returning_clause(returning);
}

std::string insert_statement(const std::string &table, const std::vector<ColumnValue> &row, bool or_nothing,
                             const std::vector<std::string> &returning) {
  std::vector<std::string> columns, values;
  for (const auto &c : row) {
    columns.push_back(c.column);
    values.push_back(c.value ? quote_value(*c.value) : "NULL");
  }
  return "INSERT INTO " + table + " (" + column_list(columns) + ") OVERRIDING SYSTEM VALUE VALUES (" + join(values, ", ") + ")" +
         (or_nothing ? " ON CONFLICT DO NOTHING" : "") + returning_clause(returning);
}

std::string locking_statement(const std::string &table, const std::vector<ColumnValue> &key, const std::vector<std::string> &columns) {
  return "SELECT " + column_list(columns) + " FROM " + table + " WHERE " + key_condition(key) + " FOR UPDATE";
}

std::string delete_statement(const std::string &table, bool only, const std::vector<ColumnValue> &key,
                             const std::vector<std::string> &returning) {
  return std::string("DELETE FROM ") + (only ? "ONLY " : "") + table + " WHERE " + key_condition(key) +
         returning_clause(returning);
}

}  // namespace vectorshard::read
