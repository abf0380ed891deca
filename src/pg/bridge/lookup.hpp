// Look-ups in an index of the extension's own tables without SPI: about a microsecond each. For residency and
// tombstones, which every writer asks for, and for routes. Call inside pg_call what does not say otherwise: it may ereport.
#pragma once
#include <string_view>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/genam.h"
#include "access/relscan.h"
#include "access/skey.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/namespace.h"
#include "executor/tuptable.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
}

namespace vectorshard::bridge {

/// A table of schema vectorshard and one of its indexes, by name; the oids are kept until the relation changes.
struct FabricIndex {
  const char *table;
  const char *index;
  Oid table_oid = InvalidOid;
  Oid index_oid = InvalidOid;
  Oid owner = InvalidOid;
  bool hooked = false;
};

inline void forget_index(Datum arg, Oid relid) {
  auto *i = reinterpret_cast<FabricIndex *>(DatumGetPointer(arg));
  if (relid == InvalidOid || relid == i->table_oid || relid == i->index_oid) i->table_oid = InvalidOid;
}

inline void resolve(FabricIndex &i) {
  if (!i.hooked) {
    CacheRegisterRelcacheCallback(forget_index, PointerGetDatum(&i));
    i.hooked = true;
  }
  if (i.table_oid != InvalidOid) return;
  Oid schema = get_namespace_oid("vectorshard", false);
  Oid table = get_relname_relid(i.table, schema);
  i.index_oid = get_relname_relid(i.index, schema);
  if (table == InvalidOid || i.index_oid == InvalidOid)
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table vectorshard.%s is not there", i.table),
                    errhint("Run CREATE EXTENSION vectorshard in this database.")));
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
  i.owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relowner;
  ReleaseSysCache(row);
  i.table_oid = table;
}

/// Calls `found` with each row that matches `keys` under `snapshot`, until it gives false.
template <class F>
void lookup_each(FabricIndex &i, Snapshot snapshot, ScanKey keys, int nkeys, F &&found) {
  resolve(i);
  Relation heap = table_open(i.table_oid, AccessShareLock);
  Relation index = index_open(i.index_oid, AccessShareLock);
  IndexScanDesc scan = index_beginscan(heap, index, snapshot, nkeys, 0);
  index_rescan(scan, keys, nkeys, nullptr, 0);
  TupleTableSlot *slot = table_slot_create(heap, nullptr);
  while (index_getnext_slot(scan, ForwardScanDirection, slot) && found(slot)) {}
  ExecDropSingleTupleTableSlot(slot);
  index_endscan(scan);
  index_close(index, NoLock);
  table_close(heap, NoLock);
}

/// Calls `found` with the first row that matches `keys` under `snapshot`, if there is one.
template <class F>
void lookup(FabricIndex &i, Snapshot snapshot, ScanKey keys, int nkeys, F &&found) {
  lookup_each(i, snapshot, keys, nkeys, [&](TupleTableSlot *slot) {
    found(slot);
    return false;
  });
}

/// f(snapshot) under a snapshot taken now. Outside pg_call; while an error unwinds, the transaction's end gives it back.
template <class F>
auto with_fresh_snapshot(F &&f) {
  Snapshot snapshot = pg_call([] { return RegisterSnapshot(GetLatestSnapshot()); });
  auto out = f(snapshot);
  pg_call([&] { UnregisterSnapshot(snapshot); });
  return out;
}

/// The key of a column of names: text with collation "C".
inline void name_key(ScanKey key, AttrNumber column, std::string_view name) {
  Datum value = PointerGetDatum(cstring_to_text_with_len(name.data(), static_cast<int>(name.size())));
  ScanKeyEntryInitialize(key, 0, column, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_TEXTEQ, value);
}

}  // namespace vectorshard::bridge
