// Conditions on primary keys: see key_range.hpp. Makes text only.
#include "pg/bridge/key_range.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "utils/builtins.h"
}

namespace vectorshard::bridge {

namespace {

const EnrolledColumn *column(const EnrolledTable &table, AttrNumber attnum) {
  for (const EnrolledColumn &c : table.columns)
    if (c.attnum == attnum) return &c;
  return nullptr;
}

}  // namespace

std::string key_columns(const EnrolledTable &table) {
  std::string out;
  for (AttrNumber k : table.key)
    if (const EnrolledColumn *c = column(table, k))
      out += (out.empty() ? "" : ", ") + std::string(pg_call([&] { return quote_identifier(c->name.c_str()); }));
  return out;
}

std::string key_compared(const EnrolledTable &table, const std::string &op, int parameter) {
  std::string bounds;
  for (size_t i = 0; i < table.key.size(); i++)
    if (const EnrolledColumn *c = column(table, table.key[i]))
      bounds += (bounds.empty() ? "" : ", ") + ("($" + std::to_string(parameter) + ")[" + std::to_string(i + 1) + "]::") +
                c->type_text();
  return "ROW(" + key_columns(table) + ") " + op + " ROW(" + bounds + ")";
}

std::string key_within(const EnrolledTable &table, const KeyRange &range, int parameter) {
  std::string out = "TRUE";
  if (!range.after.empty()) out += " AND " + key_compared(table, ">", parameter);
  if (!range.upto.empty()) out += " AND " + key_compared(table, "<=", parameter + 1);
  return out;
}

}  // namespace vectorshard::bridge
