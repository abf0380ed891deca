// Comparing a client's name with a column: see client_column.hpp. A name that is no number must not be cast to one: a
// table whose clients are numbers simply holds none named "car".
#include "pg/bridge/client_column.hpp"

#include <charconv>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace vectorshard::bridge {

namespace {

/// True if `text` is what the output of an integer within these bounds looks like.
bool is_integer(std::string_view text, int64_t min, int64_t max) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= min && value <= max;
}

bool can_be(Oid type, std::string_view client) {
  switch (type) {
    case INT2OID: return is_integer(client, INT16_MIN, INT16_MAX);
    case INT4OID: return is_integer(client, INT32_MIN, INT32_MAX);
    case INT8OID: return is_integer(client, INT64_MIN, INT64_MAX);
    case UUIDOID: return client.size() == 36 && client.find_first_not_of("-0123456789abcdef") == std::string_view::npos;
    default: return true;
  }
}

}  // namespace

std::string client_condition(const EnrolledTable &table, std::string_view client) {
  for (const EnrolledColumn &c : table.columns) {
    if (c.attnum != table.client_attnum) continue;
    if (!can_be(c.type, client)) return "";
    std::string column = pg_call([&] { return quote_identifier(c.name.c_str()); });
    switch (c.type) {
      case TEXTOID: case VARCHAROID: return column + " = $1";
      case INT2OID: case INT4OID: case INT8OID: case UUIDOID: return column + " = $1::" + c.type_text();
      default: return column + "::text = $1";
    }
  }
  return "";
}

}  // namespace vectorshard::bridge
