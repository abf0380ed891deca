// Rows of one client: see client_rows.hpp. For eviction, which reads a client as a whole.
#include "pg/apply/client_rows.hpp"

#include "pg/bridge/client_column.hpp"
#include "pg/bridge/scan.hpp"

namespace vectorshard::apply {

std::vector<bridge::EnrolledTable> client_tables() {
  std::vector<std::string> names;
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) names.push_back(t->name);
  std::vector<bridge::EnrolledTable> out;
  for (const std::string &name : names)
    if (auto table = bridge::table_to_read(name)) out.push_back(std::move(*table));
  return out;
}

void for_each_row(const bridge::EnrolledTable &table, std::string_view client, const std::string &what,
                  const std::function<void(const Datum *values)> &row) {
  std::string condition = bridge::client_condition(table, client);
  if (condition.empty()) return;
  bridge::scan("SELECT " + what + " FROM ONLY " + table.name + " WHERE " + condition, {bridge::p_text(client)},
               [&](const Datum *values, const bool *) {
                 row(values);
                 return true;
               });
}

}  // namespace vectorshard::apply
