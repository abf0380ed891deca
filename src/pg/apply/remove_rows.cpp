// Removing a client's rows from this heap without deleting them from the fabric: no tombstones, no triggers, not
// decoded. A statement that still waits for one of the rows fails with a retryable error instead of updating nothing,
// because each row is marked as moved to elsewhere (changingPart).
#include "pg/apply/api.hpp"
#include "pg/apply/client_rows.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::apply {

namespace {

void remove_from(const bridge::EnrolledTable &table, std::string_view client) {
  std::vector<ItemPointerData> rows;
  for_each_row(table, client, "ctid",
               [&](const Datum *values) { rows.push_back(*reinterpret_cast<ItemPointer>(DatumGetPointer(values[0]))); });
  if (rows.empty()) return;
  bridge::HiddenScope hidden;
  bridge::pg_call([&] {
    Relation relation = table_open(table.relid, RowExclusiveLock);
    for (size_t i = 0; i < rows.size(); i++) {
      TM_FailureData failure;
      TM_Result result = table_tuple_delete(relation, &rows[i], GetCurrentCommandId(true), GetActiveSnapshot(),
                                            InvalidSnapshot, true, &failure, true);
      if (result != TM_Ok)
        ereport(ERROR, (errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
                        errmsg("a row of a client that leaves this node was changed meanwhile"),
                        errhint("The client stays here; it will be tried again.")));
    }
    table_close(relation, NoLock);
  });
}

}  // namespace

void remove_rows(std::string_view client) {
  UserScope owner(extension_owner(), false);
  bridge::pg_call([] {
    CommandCounterIncrement();
    PushActiveSnapshot(GetLatestSnapshot());
  });
  for (const bridge::EnrolledTable &table : client_tables()) remove_from(table, client);
  bridge::pg_call([] { PopActiveSnapshot(); });
  bridge::Spi spi;
  spi.execute("DELETE FROM vectorshard.resident WHERE client = $1", {bridge::p_text(client)});
  // Whoever has seen the client here looks again from now on, and finds the row going (resident_seen.cpp).
  pg_atomic_fetch_add_u64(&bridge::shared()->eviction_epoch, 1);
}

// No SQL object of the extension: the isolation tests declare it to evict at a chosen moment.
VECTORSHARD_FUNCTION(vectorshard_remove_rows) {
  return bridge::entry([&]() -> Datum {
    remove_rows(bridge::text_argument(fcinfo, 0));
    return PointerGetDatum(nullptr);
  });
}

}  // namespace vectorshard::apply
