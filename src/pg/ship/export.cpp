// The full state of a client, or of a reference table, as a batch: rows and tombstones, read under the active snapshot.
// A client that is not resident under that snapshot would export as "no rows", so callers check residency under it.
#include "pg/apply/api.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/client_column.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
}

namespace vectorshard::ship {

namespace {

constexpr const char *kTombstones = "vectorshard.tombstone";

Batch start(BatchKind kind) {
  Batch b;
  b.kind = kind;
  b.from = bridge::self_node();
  b.from_incarnation = static_cast<int64_t>(pg_atomic_read_u64(&bridge::shared()->incarnation));
  b.clock = static_cast<Version>(pg_atomic_read_u64(&bridge::shared()->clock_high_water));
  return b;
}

std::string quoted(const std::string &name) {
  return bridge::pg_call([&] { return quote_identifier(name.c_str()); });
}

/// Appends the rows of a table that meet `condition` (parameters $1, $2: text) to the batch, all of client `client`.
void add_rows(Batch &batch, const bridge::EnrolledTable &table, uint32_t client, const std::string &condition,
              const std::vector<std::string> &params) {
  std::string sql = "SELECT ";
  for (const bridge::EnrolledColumn &c : table.columns) sql += (sql.size() > 7 ? ", " : "") + quoted(c.name);
  sql += " FROM ONLY " + table.name + " WHERE " + condition;
  Table description = describe(table);
  auto index = static_cast<uint16_t>(batch.tables.size());
  bridge::Spi spi;
  TupleDesc desc = bridge::pg_call([&] {
    Oid types[2] = {TEXTOID, TEXTOID};
    Datum values[2];
    for (size_t i = 0; i < params.size(); i++)
      values[i] = PointerGetDatum(cstring_to_text_with_len(params[i].data(), static_cast<int>(params[i].size())));
    int rc = SPI_execute_with_args(sql.c_str(), static_cast<int>(params.size()), types, values, nullptr, true, 0);
    if (rc != SPI_OK_SELECT) elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
    return SPI_tuptable->tupdesc;
  });
  SPITupleTable *found = SPI_tuptable;
  auto columns = static_cast<size_t>(desc->natts);
  std::vector<Datum> values(columns);
  std::unique_ptr<bool[]> nulls(new bool[columns]);
  for (uint64 i = 0; i < found->numvals; i++) {
    bridge::pg_call([&] { heap_deform_tuple(found->vals[i], desc, values.data(), nulls.get()); });
    Row row;
    row.table = index;
    row.client = client;
    row.version = DatumGetInt64(values[description.version_column]);
    for (size_t c = 0; c < columns; c++) {
      if (nulls[c])
        row.values.emplace_back(std::nullopt);
      else
        row.values.emplace_back(send_value(table.columns[c].type, values[c]));
    }
    batch.rows.push_back(std::move(row));
  }
  if (found->numvals > 0) batch.tables.push_back(std::move(description));
}

bridge::EnrolledTable table_named(const std::string &name) {
  const bridge::EnrolledTable *t = bridge::enrolled_table_by_name(name);
  if (!t)
    bridge::raise({Errc::not_found, "table " + name + " is not enrolled", "", "Look at vectorshard.shard_table."});
  return *t;
}

}  // namespace

Batch export_client(std::string_view client, BatchKind kind) {
  bridge::require_preloaded();
  bridge::AsSuperuser rights;
  Batch batch = start(kind);
  batch.clients.push_back({std::string(client), false, {}});
  std::vector<bridge::EnrolledTable> tables;  // copies: reading may refresh the cache
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) tables.push_back(*t);
  for (const bridge::EnrolledTable &t : tables) {
    std::string condition = bridge::client_condition(t, client);
    if (!condition.empty()) add_rows(batch, t, 0, condition, {std::string(client)});
  }
  add_rows(batch, table_named(kTombstones), 0, "client = $1", {std::string(client)});
  return batch;
}

Batch export_reference_table(const std::string &table) {
  bridge::require_preloaded();
  bridge::AsSuperuser rights;
  Batch batch = start(BatchKind::sync);
  batch.clients.push_back({"", false, {}});
  if (table != kTombstones) add_rows(batch, table_named(table), 0, "true", {});
  add_rows(batch, table_named(kTombstones), 0, "client = '' AND ($1 = $2 OR table_name = $1)", {table, kTombstones});
  return batch;
}

}  // namespace vectorshard::ship
