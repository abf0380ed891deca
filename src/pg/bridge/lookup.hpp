// Look-ups in an index of the extension's own tables without SPI: about a microsecond each. For residency and
// tombstones, which every writer asks for, and for routes. Call inside pg_call what does not say otherwise: it may ereport.
#pragma once
#include <string>
#include <string_view>
#include <vector>

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

/// The scan of one index while it is open: every key costs a descent, opening is paid once.
class IndexLookup {
 public:
  IndexLookup(FabricIndex &i, Snapshot snapshot, int nkeys) : nkeys_(nkeys) {
    resolve(i);
    heap_ = table_open(i.table_oid, AccessShareLock);
    index_ = index_open(i.index_oid, AccessShareLock);
    scan_ = index_beginscan(heap_, index_, snapshot, nkeys, 0);
    slot_ = table_slot_create(heap_, nullptr);
  }
  /// Calls `found` with each row that matches `keys`, until it gives false.
  template <class F>
  void each(ScanKey keys, F &&found) {
    index_rescan(scan_, keys, nkeys_, nullptr, 0);
    while (index_getnext_slot(scan_, ForwardScanDirection, slot_) && found(slot_)) {}
  }
  /// No destructor does this: an error jumps over it, and the transaction's end closes what is open.
  void close() {
    ExecDropSingleTupleTableSlot(slot_);
    index_endscan(scan_);
    index_close(index_, NoLock);
    table_close(heap_, NoLock);
  }

 private:
  int nkeys_;
  Relation heap_, index_;
  IndexScanDesc scan_;
  TupleTableSlot *slot_;
};

/// Calls `found` with each row that matches `keys` under `snapshot`, until it gives false.
template <class F>
void lookup_each(FabricIndex &i, Snapshot snapshot, ScanKey keys, int nkeys, F &&found) {
  IndexLookup open(i, snapshot, nkeys);
  open.each(keys, found);
  open.close();
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

/// Calls `found` with the place in `names`, and with each row whose first column is that name under `snapshot`. `found` makes plain data.
template <class F>
void lookup_names(FabricIndex &i, Snapshot snapshot, const std::vector<std::string> &names, F &&found) {
  IndexLookup open(i, snapshot, 1);
  for (size_t n = 0; n < names.size(); n++) {
    ScanKeyData key[1];
    name_key(&key[0], 1, names[n]);
    open.each(key, [&](TupleTableSlot *slot) {
      found(n, slot);
      return true;
    });
  }
  open.close();
}

}  // namespace vectorshard::bridge
