// The current state of a row by its primary key: for changes whose unchanged TOAST values were not decoded. Reads the
// local heap only, under a fresh snapshot, after the change itself is visible.
#include "core/ship/codec.hpp"
#include "pg/bridge/as_superuser.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/decode.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "access/detoast.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::ship {

namespace {

struct Key {
  std::string condition;
  std::vector<Oid> types;
  std::vector<Datum> values;
};

bool same_shape(const Table &a, const Table &b) {
  return a.columns.size() == b.columns.size() && std::all_of(a.columns.begin(), a.columns.end(), [&](const Column &c) {
           return std::find(b.columns.begin(), b.columns.end(), c) != b.columns.end();
         });
}

/// The key's columns and their values in `change`, which has the table's columns.
Key key_of(const bridge::EnrolledTable &table, const DecodedChange &change) {
  Key key;
  for (AttrNumber attnum : table.key) {
    auto column = std::find_if(table.columns.begin(), table.columns.end(), [&](auto &c) { return c.attnum == attnum; });
    if (column == table.columns.end()) return {};
    const std::string &name = column->name;
    auto sent = std::find_if(change.table->columns.begin(), change.table->columns.end(),
                             [&](const Column &c) { return c.name == name; });
    if (sent == change.table->columns.end()) return {};
    const auto &value = (*change.values)[static_cast<size_t>(sent - change.table->columns.begin())];
    if (!value) return {};
    key.types.push_back(column->type);
    key.values.push_back(receive_value(column->type, column->typmod, *value));
    const char *quoted = bridge::pg_call([&] { return quote_identifier(name.c_str()); });
    key.condition += (key.condition.empty() ? "" : " AND ") + std::string(quoted) + " = $" + std::to_string(key.types.size());
  }
  return key;
}

/// The row's values in send format, or nothing. A row too large to travel is told by its size, and read without values.
std::optional<Values> read_row(const std::string &sql, Key &key, const std::vector<Oid> &types, uint64_t *oversized_bytes) {
  bridge::Spi spi;
  auto n = static_cast<int>(key.types.size());
  bool found = bridge::pg_call([&] {
    int rc = SPI_execute_with_args(sql.c_str(), n, key.types.data(), key.values.data(), nullptr, false, 1);
    if (rc != SPI_OK_SELECT) elog(ERROR, "SPI failed: %s", SPI_result_code_string(rc));
    return SPI_processed > 0;
  });
  if (!found) return {};
  size_t large = 0;
  for (size_t i = 0; i < types.size(); i++) {
    large += bridge::pg_call([&]() -> size_t {
      bool null = false;
      Datum d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, static_cast<int>(i) + 1, &null);
      if (null || get_typlen(types[i]) != -1 || !VARATT_IS_EXTERNAL(DatumGetPointer(d))) return 0;
      return toast_raw_datum_size(d);
    });
  }
  Values out;
  if (large > kRowBytesMax) {
    *oversized_bytes = large;
    return out;
  }
  for (size_t i = 0; i < types.size(); i++) {
    bool null = false;
    Datum d = bridge::pg_call([&] {
      return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, static_cast<int>(i) + 1, &null);
    });
    out.push_back(null ? std::nullopt : std::optional<std::string>(send_value(types[i], d)));
  }
  return out;
}

}  // namespace

Filled fill_from_row(DecodedChange &change) {
  const bridge::EnrolledTable *known = bridge::enrolled_table(change.relid);
  if (!known) return Filled::gone;
  auto locked = bridge::locked_table(known->name, AccessShareLock);
  if (!locked || locked->relid != change.relid) return Filled::gone;
  const bridge::EnrolledTable &table = *locked;
  auto now = std::make_shared<Table>(describe(table));
  if (!same_shape(*now, *change.table)) return Filled::altered;
  bridge::AsSuperuser rights;
  Key key = key_of(table, change);
  if (key.types.empty()) return Filled::altered;
  std::string sql = "SELECT ";
  std::vector<Oid> types;
  for (const bridge::EnrolledColumn &c : table.columns) {
    const char *quoted = bridge::pg_call([&] { return quote_identifier(c.name.c_str()); });
    sql += (types.empty() ? "" : ", ") + std::string(quoted);
    types.push_back(c.type);
  }
  sql += " FROM ONLY " + table.name + " WHERE " + key.condition;
  auto row = read_row(sql, key, types, &change.oversized_bytes);
  if (!row) return Filled::gone;
  if (change.oversized_bytes > 0) return Filled::filled;
  change.table = std::move(now);
  change.encoded = std::make_shared<const std::string>(encode_values(*row));
  change.missing.clear();
  Version version = 0;
  for (unsigned char c : *(*row)[change.table->version_column]) version = version << 8 | c;
  change.version = version;
  return Filled::filled;
}

}  // namespace vectorshard::ship
