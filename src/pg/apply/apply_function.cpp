// vectorshard.apply(batch) returns bytea: a peer's call. Deadlocks and serialization failures are tried again here a few
// times; any other failure of the whole batch is the sender's to repeat. What it answers is committed when the call's
// transaction is, and durable as the session's synchronous_commit says: a shipper's is off, and it asks flush_applied()
// before it forgets a batch.
#include "core/apply/residency_rules.hpp"
#include "core/ship/types.hpp"
#include "pg/apply/api.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/transient.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/bridge/wal.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
}

namespace vectorshard::apply {

namespace {

constexpr int kAttemptsMax = 5;
constexpr long kPauseUs = 10000;

constexpr const char *kSender = "SELECT state, incarnation FROM vectorshard.node WHERE node = $1";

void check_isolation() {
  if (!IsolationUsesXactSnapshot()) return;
  bridge::raise_sqlstate(ERRCODE_ACTIVE_SQL_TRANSACTION, "vectorshard.apply() needs isolation level read committed", {},
                         "Set default_transaction_isolation to \"read committed\" for the role of the fabric.");
}

/// A peer that was removed, or went back to an earlier life (restored from a backup), is not believed.
void check_sender(const ship::Batch &batch) {
  NodeId self = bridge::self_node();
  if (self == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", {},
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
  if (batch.from == self)
    bridge::raise({Errc::invalid_argument, "the batch is from this node itself",
                   "Both sides call themselves node " + std::to_string(self) + ".",
                   "A clone of a node must not run beside it; remove it."});
  UserScope owner(extension_owner(), false);
  bridge::Rows rows = bridge::Spi().query_kept(kSender, {bridge::p_int4(batch.from)});
  if (rows.empty()) return;
  bool removed = rows.at(0, 0) == "removed";
  if (believed(true, removed, rows.int8(0, 1), batch.from_incarnation)) return;
  std::string name = "node " + std::to_string(batch.from);
  if (removed)
    bridge::raise({Errc::denied, name + " was removed from the fabric", {}, "Let it join anew."});
  bridge::raise({Errc::denied, name + " is in incarnation " + std::to_string(batch.from_incarnation),
                 "The fabric knows incarnation " + rows.at(0, 1) + ".",
                 "It was restored from a backup or cloned. Remove it and let it join anew."});
}

ship::Reply merge_with_retries(const ship::Batch &batch) {
  for (int attempt = 1;; attempt++) {
    try {
      bridge::Subtransaction sub;
      ship::Reply reply = merge(batch);
      sub.release();
      return reply;
    } catch (const bridge::PgError &e) {
      if (!retriable(e) || attempt == kAttemptsMax) throw_again(e);
    }
    bridge::pg_call([&] {
      CHECK_FOR_INTERRUPTS();
      pg_usleep(kPauseUs * attempt);
    });
  }
}

}  // namespace

VECTORSHARD_FUNCTION(vectorshard_apply) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    check_isolation();
    bytea *bytes = bridge::pg_call([&] { return PG_GETARG_BYTEA_PP(0); });
    ship::Batch batch = bridge::value_or_raise(
        ship::decode_batch({VARDATA_ANY(bytes), static_cast<size_t>(VARSIZE_ANY_EXHDR(bytes))}));
    check_sender(batch);
    ship::note_position(batch.from, batch.position);
    ship::note_came_from_peer();
    std::string reply = ship::encode(merge_with_retries(batch));
    return bridge::pg_call([&] {
      return PointerGetDatum(cstring_to_text_with_len(reply.data(), static_cast<int>(reply.size())));
    });
  });
}

/// (now boolean, OUT written pg_lsn, OUT flushed pg_lsn). Also makes the session's caches, so that the first batch need not:
/// a shipper asks once before it sends any. All WAL counts, not only this session's: what a batch brought may
/// have been here already, from another session that has not flushed it.
VECTORSHARD_FUNCTION(vectorshard_flush_applied) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    (void)bridge::enrolled_tables();
    return bridge::pg_call([&]() -> Datum {
      XLogRecPtr written = PG_GETARG_BOOL(0) ? bridge::flush_wal() : bridge::end_of_wal();
      TupleDesc desc;
      if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "return type must be a row type");
      Datum values[2] = {LSNGetDatum(written), LSNGetDatum(GetFlushRecPtr(nullptr))};
      bool nulls[2] = {};
      return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
    });
  });
}

}  // namespace vectorshard::apply
