// The last step of a copy: see receive.hpp.
#include "pg/place/receive.hpp"

#include "core/ship/types.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/written_at_home.hpp"
#include "pg/place/quality.hpp"

namespace vectorshard::place {

namespace {

using bridge::p_bool;
using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

const char *reason_text(ship::RefusalReason reason) {
  switch (reason) {
    case ship::RefusalReason::schema: return "its columns differ from those at the source";
    case ship::RefusalReason::no_table: return "the table does not exist here";
    default: return "its rows were refused";
  }
}

/// A copy that lacks a table must not become resident: its rows would be missing from queries.
Received refused(const CopyItem &item, const ship::Refusal &refusal) {
  return {CopyEnd::failed, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
          Error{Errc::invalid_argument, "client \"" + item.client + "\" cannot be copied here",
                "Table " + refusal.table + ": " + reason_text(refusal.reason) + ".",
                "Bring the table to the same columns on every node; the copy is tried again by itself."}};
}

bool may_try_again(int sqlstate) {
  return sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE || sqlstate == ERRCODE_T_R_DEADLOCK_DETECTED ||
         sqlstate == ERRCODE_LOCK_NOT_AVAILABLE || sqlstate == ERRCODE_QUERY_CANCELED;
}

Received merge_in_transaction(const CopyItem &item, const ship::Batch &batch) {
  bridge::WorkerTransaction tx;
  if (!bridge::try_lock_client(item.client))
    return {CopyEnd::written, ERRCODE_LOCK_NOT_AVAILABLE,
            Error{Errc::conflict, "client \"" + item.client + "\" has an open write on this node", "", "Retry."}};
  // Under the lock: whoever committed at the home has noted it before.
  if (!item.resident && bridge::written_at_home_us(item.client) >= item.unchanged_since_us)
    return {CopyEnd::written, ERRCODE_T_R_SERIALIZATION_FAILURE,
            Error{Errc::conflict, "client \"" + item.client + "\" was changed at its home from this node while it was copied", "", "Retry."}};
  bool from_home = item.source == item.home;
  {
    bridge::LearnedWrites learned;
    {
      bridge::Spi spi;
      spi.execute("INSERT INTO vectorshard.resident AS r (client, generation, confirmed) VALUES ($1, $2, $3) "
                  "ON CONFLICT (client) DO UPDATE SET confirmed = r.confirmed OR excluded.confirmed",
                  {p_text(item.client), p_int8(item.generation), p_bool(from_home)});
    }
    ship::Reply reply = apply::merge(batch);
    for (const auto &r : reply.refusals) return refused(item, r);
  }
  {
    // A live row stays as it is (an update that changes nothing keeps its version).
    bridge::Spi spi;
    if (!spi.execute("UPDATE vectorshard.holder SET state = 'live', bytes = CASE state WHEN 'copying' THEN $4 ELSE bytes END "
                     "WHERE client = $1 AND node = $2 AND generation = $3 AND state IN ('copying', 'live')",
                     {p_text(item.client), p_int4(bridge::self_node()), p_int8(item.generation),
                      p_int8(static_cast<int64_t>(item.bytes))}))
      return {CopyEnd::again_soon, ERRCODE_T_R_SERIALIZATION_FAILURE,
              Error{Errc::conflict, "the copy of client \"" + item.client + "\" was given up", "", "Retry."}};
  }
  tx.commit();
  note_copied(batch);
  return {};
}

}  // namespace

Received receive_copy(const CopyItem &item, std::string_view bytes) {
  auto batch = ship::decode_batch(bytes);
  if (!batch.ok()) return {CopyEnd::failed, ERRCODE_DATA_CORRUPTED, batch.error()};
  try {
    return merge_in_transaction(item, batch.value());
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    return {may_try_again(e.sqlstate) ? CopyEnd::again_soon : CopyEnd::failed, e.sqlstate,
            Error{Errc::io, e.message, e.detail, e.hint}};
  }
}

Received confirm_copy(const CopyItem &item) {
  try {
    bridge::WorkerTransaction tx;
    uint64_t rows = 0;
    {
      bridge::LearnedWrites learned;
      bridge::Spi spi;
      rows = spi.execute("UPDATE vectorshard.resident SET confirmed = true WHERE client = $1 AND NOT leaving", {p_text(item.client)});
    }
    tx.commit();
    if (rows > 0) return {};
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    return {may_try_again(e.sqlstate) ? CopyEnd::again_soon : CopyEnd::failed, e.sqlstate, Error{Errc::io, e.message, e.detail, e.hint}};
  }
  return {CopyEnd::again_soon, ERRCODE_T_R_SERIALIZATION_FAILURE,
          Error{Errc::conflict, "client \"" + item.client + "\" is no longer resident here", "", "Retry."}};
}

}  // namespace vectorshard::place
