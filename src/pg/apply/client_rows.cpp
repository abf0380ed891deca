// Rows of one client: see client_rows.hpp. For eviction and digests, which read a client as a whole.
#include "pg/apply/client_rows.hpp"

#include "pg/bridge/client_column.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace vectorshard::apply {

std::vector<bridge::EnrolledTable> client_tables() {
  std::vector<bridge::EnrolledTable> out;
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) out.push_back(*t);
  return out;
}

void for_each_row(const bridge::EnrolledTable &table, std::string_view client, const std::string &what,
                  const std::function<void(const Datum *values)> &row) {
  std::string condition = bridge::client_condition(table, client);
  if (condition.empty()) return;
  std::string sql = "SELECT " + what + " FROM ONLY " + table.name + " WHERE " + condition;
  bridge::Spi spi;
  TupleDesc desc = bridge::pg_call([&] {
    Oid types[1] = {TEXTOID};
    Datum values[1] = {PointerGetDatum(cstring_to_text_with_len(client.data(), static_cast<int>(client.size())))};
    int rc = SPI_execute_with_args(sql.c_str(), 1, types, values, nullptr, true, 0);
    if (rc != SPI_OK_SELECT) elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
    return SPI_tuptable->tupdesc;
  });
  SPITupleTable *found = SPI_tuptable;
  std::vector<Datum> values(static_cast<size_t>(desc->natts));
  std::unique_ptr<bool[]> nulls(new bool[static_cast<size_t>(desc->natts)]);
  for (uint64 i = 0; i < found->numvals; i++) {
    bridge::pg_call([&] { heap_deform_tuple(found->vals[i], desc, values.data(), nulls.get()); });
    row(values.data());
  }
}

}  // namespace vectorshard::apply
