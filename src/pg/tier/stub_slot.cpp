// Slots for rows of stubs. One whose row was only promised (StubRows::promise) has its TID and its table, and reads the row from the segment when
// one of its columns is wanted: most who lock a row, such as checks of foreign keys, want none.
#include "pg/bridge/guard.hpp"
#include "pg/tier/stub_am.hpp"
#include "pg/tier/stub_analyze.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/sysattr.h"
#include "access/table.h"
#include "executor/tuptable.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

bool is_promised(const TupleTableSlot *slot) { return !TTS_EMPTY(slot) && slot->tts_nvalid < slot->tts_tupleDescriptor->natts; }

void keep_promise(TupleTableSlot *slot) {
  if (!is_promised(slot)) return;
  bridge::entry([&]() -> void {
    ItemPointerData tid = slot->tts_tid;
    // Whoever has the slot has a lock of the table.
    Relation rel = bridge::pg_call([&] { return table_open(slot->tts_tableOid, NoLock); });
    bool found = StubRows::fetch(rel, tid, slot);
    bridge::pg_call([&] { table_close(rel, NoLock); });
    if (!found) bridge::raise({Errc::corrupt, "a segment has fewer rows than its manifest says", "", ""});
  });
}

/// A virtual tuple that knows, like a frozen row of a heap, who wrote it: nobody that matters.
Datum system_column(TupleTableSlot *, int attribute, bool *null) {
  *null = false;
  switch (attribute) {
    case MinTransactionIdAttributeNumber: return TransactionIdGetDatum(FrozenTransactionId);
    case MaxTransactionIdAttributeNumber: return TransactionIdGetDatum(InvalidTransactionId);
    case MinCommandIdAttributeNumber:
    case MaxCommandIdAttributeNumber: return CommandIdGetDatum(FirstCommandId);
    default: ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("rows in a store have no system column %d", attribute)));
  }
  pg_unreachable();
}

void get_some_attributes(TupleTableSlot *slot, int) { keep_promise(slot); }

void materialize(TupleTableSlot *slot) {
  keep_promise(slot);
  TTSOpsVirtual.materialize(slot);
}

HeapTuple copy_heap_tuple(TupleTableSlot *slot) {
  keep_promise(slot);
  return tuple_with_place(slot);
}

#if PG_VERSION_NUM >= 180000
MinimalTuple copy_minimal_tuple(TupleTableSlot *slot, Size extra) {
  keep_promise(slot);
  return TTSOpsVirtual.copy_minimal_tuple(slot, extra);
}
#else
MinimalTuple copy_minimal_tuple(TupleTableSlot *slot) {
  keep_promise(slot);
  return TTSOpsVirtual.copy_minimal_tuple(slot);
}
#endif

}  // namespace

const TupleTableSlotOps *stub_slot_callbacks() {
  static const TupleTableSlotOps ops = [] {
    TupleTableSlotOps o = TTSOpsVirtual;  // whose copyslot gets all columns of the other slot, and so keeps its promise
    o.getsysattr = system_column;
    o.getsomeattrs = get_some_attributes;
    o.materialize = materialize;
    o.copy_heap_tuple = copy_heap_tuple;
    o.copy_minimal_tuple = copy_minimal_tuple;
    return o;
  }();
  return &ops;
}

}  // namespace vectorshard::tier
