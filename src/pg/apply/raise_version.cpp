// Making this node's copy of a row the newer one, by the least that is newer: for two copies that have one version but
// not one content. The row is shipped as any write is; every write that anybody made after it still beats it.
#include "pg/apply/api.hpp"
#include "pg/apply/merge_rows.hpp"
#include "pg/apply/merge_sql.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
}

namespace vectorshard::apply {

namespace {

/// True if the row was there with that version, and of a client that is held here for good. The table is locked.
bool raise(const bridge::EnrolledTable &table, std::string_view client, Datum key, Version version) {
  if (!table.reference) {
    Residency held = residency_now(client);
    if (!held.resident || held.leaving) return false;
  }
  observe(version + 1);
  bridge::Spi spi;
  std::string sql = raise_sql(table);
  UserScope owner(table.owner, true);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  bridge::Param keys = bridge::p_null(TEXTARRAYOID);
  keys.value = key;
  keys.null = false;
  return spi.execute(sql, {keys, bridge::p_int8(version)}) > 0;
}

}  // namespace

}  // namespace vectorshard::apply

using namespace vectorshard;

/// (client, table_name, key text[], version) → boolean
VECTORSHARD_FUNCTION(vectorshard_raise_version) {
  return bridge::entry([&]() -> Datum {
    std::string client = bridge::text_argument(fcinfo, 0), name = bridge::text_argument(fcinfo, 1);
    // The lock before the look at residency: whoever evicts waits for us, or we see that the client leaves.
    auto table = bridge::locked_table(name, RowExclusiveLock);
    if (!table || table->fabric) PG_RETURN_BOOL(false);
    return BoolGetDatum(apply::raise(*table, client, PG_GETARG_DATUM(2), PG_GETARG_INT64(3)));
  });
}
