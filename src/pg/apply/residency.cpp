// Residency of a client on this node: a look-up in the index of vectorshard.resident, without SPI, under a snapshot
// that the caller chooses. It must never cache: the answer belongs to the snapshot alone.
#include "pg/apply/api.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/lookup.hpp"
extern "C" {
#include "access/sysattr.h"
#include "access/xact.h"
}

namespace vectorshard::apply {

namespace {

constexpr AttrNumber kGeneration = 2;
constexpr AttrNumber kLeaving = 4;

bridge::FabricIndex resident_index{"resident", "resident_pkey"};

}  // namespace

Residency residency_under(Snapshot snapshot, std::string_view client) {
  return bridge::pg_call([&] {
    Residency out;
    ScanKeyData key[1];
    bridge::name_key(&key[0], 1, client);
    bridge::lookup(resident_index, snapshot, key, 1, [&](TupleTableSlot *slot) {
      bool isnull;
      out.resident = true;
      out.generation = DatumGetInt64(slot_getattr(slot, kGeneration, &isnull));
      out.leaving = DatumGetBool(slot_getattr(slot, kLeaving, &isnull));
      TransactionId by = DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &isnull));
      out.own = TransactionIdIsCurrentTransactionId(by);
      const HeapTupleHeader row = reinterpret_cast<BufferHeapTupleTableSlot *>(slot)->base.tuple->t_data;
      out.ending = !(row->t_infomask & HEAP_XMAX_INVALID);
      out.since = HeapTupleHeaderXminFrozen(row) ? FrozenTransactionId : by;
    });
    return out;
  });
}

Oid extension_owner() {
  if (resident_index.table_oid == InvalidOid) bridge::pg_call([] { bridge::resolve(resident_index); });
  return resident_index.owner;
}

Residency residency_now(std::string_view client) {
  return bridge::with_fresh_snapshot([&](Snapshot s) { return residency_under(s, client); });
}

}  // namespace vectorshard::apply
