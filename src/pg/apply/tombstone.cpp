// Tombstones: see tombstone.hpp. Written with the rights of the extension's owner, whoever deletes; in the transaction
// of the delete. collect_tombstones() is the only place that removes any, and it never ships.
#include "core/apply/rules.hpp"
#include "pg/apply/tombstone.hpp"

#include "pg/apply/api.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "catalog/pg_collation.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace vectorshard::apply {

namespace {

constexpr AttrNumber kVersion = 4;

bridge::FabricIndex tombstone_index{"tombstone", "tombstone_pkey"};

constexpr const char *kWrite = R"(
  INSERT INTO vectorshard.tombstone AS t (table_name, key, client, _version) VALUES ($1, $2, $3, $4)
  ON CONFLICT (table_name, key) DO UPDATE
    SET client = excluded.client, _version = excluded._version, deleted_at = excluded.deleted_at
    WHERE t._version < excluded._version)";

// Both bounds: what arrived late stays a full retention time here, and the horizon goes by version alone. What some peer is
// still owed stays: however long it is away, it hears of the delete before this node forgets it.
constexpr const char *kCollect = R"(
  DELETE FROM vectorshard.tombstone t
   WHERE t.deleted_at < $1 AND t._version < $2 AND NOT EXISTS (
     SELECT FROM vectorshard.peer_debt d
      WHERE d.client = t.client AND (t.client <> '' OR d.table_name IN (t.table_name, 'vectorshard.tombstone'))
         OR d.table_name = '*'))";
// Beaten writes are kept as long as tombstones; dead letters until they are merged.
constexpr const char *kForget = "DELETE FROM vectorshard.conflict WHERE at < $1 AND (kind = 'beaten' OR resolved < $1)";

}  // namespace

Version tombstone_under(Snapshot snapshot, const std::string &table, const std::vector<std::string> &key) {
  Datum array = bridge::p_text_array(key).value;
  return bridge::pg_call([&] {
    Version found = 0;
    ScanKeyData keys[2];
    bridge::name_key(&keys[0], 1, table);
    ScanKeyEntryInitialize(&keys[1], 0, 2, BTEqualStrategyNumber, InvalidOid, C_COLLATION_OID, F_ARRAY_EQ, array);
    bridge::lookup(tombstone_index, snapshot, keys, 2, [&](TupleTableSlot *slot) {
      bool isnull;
      found = DatumGetInt64(slot_getattr(slot, kVersion, &isnull));
    });
    return found;
  });
}

Version tombstone_now(const std::string &table, const std::vector<std::string> &key) {
  return bridge::with_fresh_snapshot([&](Snapshot s) { return tombstone_under(s, table, key); });
}

bool any_tombstone(const std::string &table) {
  return bridge::with_fresh_snapshot([&](Snapshot s) {
    return bridge::pg_call([&] {
      bool found = false;
      ScanKeyData keys[1];
      bridge::name_key(&keys[0], 1, table);
      bridge::lookup(tombstone_index, s, keys, 1, [&](TupleTableSlot *) { found = true; });
      return found;
    });
  });
}

void write_tombstone(const std::string &table, const std::vector<std::string> &key, std::string_view client,
                     Version version) {
  UserScope owner(extension_owner(), false);
  bridge::Spi spi;
  spi.execute(kWrite, {bridge::p_text(table), bridge::p_text_array(key), bridge::p_text(client),
                       bridge::p_int8(version)});
}

Version tombstone_horizon() {
  int64_t now_ms = wall_unix_ms();
  return horizon_at(now_ms, int64_t{bridge::guc::tombstone_retention_s} * 1000);
}

uint64 tombstone_epoch() { return pg_atomic_read_u64(&bridge::shared()->tombstone_epoch); }
void bump_tombstone_epoch() { pg_atomic_fetch_add_u64(&bridge::shared()->tombstone_epoch, 1); }

VECTORSHARD_FUNCTION(vectorshard_collect_tombstones) {
  return bridge::entry([&]() -> Datum {
    TimestampTz before = GetCurrentTimestamp() - int64_t{bridge::guc::tombstone_retention_s} * USECS_PER_SEC;
    bridge::HiddenScope hidden;
    bridge::Spi spi;
    spi.execute(kForget, {bridge::p_timestamptz(before)});
    TimestampTz delivered = ship::delivered_until();
    uint64 n = spi.execute(kCollect, {bridge::p_timestamptz(std::min(before, delivered)), bridge::p_int8(tombstone_horizon())});
    return Int64GetDatum(static_cast<int64>(n));
  });
}

}  // namespace vectorshard::apply
