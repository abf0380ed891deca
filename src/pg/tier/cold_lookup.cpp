// Whether a client is cold: a look-up in the primary key of vectorshard.cold_client without SPI, under a snapshot that
// the caller chooses, because every read of a client that is not resident asks. It never caches an answer.
#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

bool cold_under(Snapshot snapshot, std::string_view client) {
  return bridge::pg_call([&] {
    Oid schema = get_namespace_oid("vectorshard", false);
    Oid table = get_relname_relid("cold_client", schema);
    Oid key = get_relname_relid("cold_client_pkey", schema);
    if (!OidIsValid(table) || !OidIsValid(key))
      ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table vectorshard.cold_client is not there"),
                      errhint("Run CREATE EXTENSION vectorshard in this database.")));
    Datum name = PointerGetDatum(cstring_to_text_with_len(client.data(), static_cast<int>(client.size())));
    ScanKeyData keys[1];
    ScanKeyEntryInitialize(&keys[0], 0, 1, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ, name);
    Relation heap = table_open(table, AccessShareLock);
    Relation index = index_open(key, AccessShareLock);
    IndexScanDesc scan = index_beginscan(heap, index, snapshot, 1, 0);
    index_rescan(scan, keys, 1, nullptr, 0);
    TupleTableSlot *slot = table_slot_create(heap, nullptr);
    bool found = index_getnext_slot(scan, ForwardScanDirection, slot);
    ExecDropSingleTupleTableSlot(slot);
    index_endscan(scan);
    index_close(index, NoLock);
    table_close(heap, NoLock);
    return found;
  });
}

}  // namespace vectorshard::tier
