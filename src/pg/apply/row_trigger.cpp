// The trigger function vectorshard.row_version(): fence, version and tombstones of local writes
// (docs/architecture.md, "Row version, triggers, fence"). It must never change what the user wrote but _version, and
// never run for what apply writes (the triggers do not fire in role replica).
#include "core/apply/rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/apply/fence.hpp"
#include "pg/apply/home_fence.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/apply/written_values.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::apply {

namespace {

using bridge::EnrolledTable;

/// The tombstone epoch at the first INSERT or key change of the transaction: taken before its first stamp.
struct Watch {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  uint64 epoch = 0;
};
Watch watch;

void start_watch() {
  if (watch.transaction == MyProc->lxid) return;
  watch.epoch = tombstone_epoch();
  watch.transaction = MyProc->lxid;
}

/// The table of the trigger. In the transaction that enrols it the cache may be from the moment before: looks twice.
const EnrolledTable &table_of(const TriggerData *t) {
  Oid relid = RelationGetRelid(t->tg_relation);
  const EnrolledTable *table;
  {
    UserScope owner(extension_owner(), false);
    table = bridge::enrolled_table(relid);
    if (!table) {
      bridge::catalog_changed();
      table = bridge::enrolled_table(relid);
    }
  }
  if (!table || table->version_attnum == 0 || table->key.empty())
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                           std::string("table \"") + RelationGetRelationName(t->tg_relation) + "\" is not enrolled",
                           "Its triggers are there, but this transaction does not see its entry in shard_table.",
                           "Retry the transaction, or enrol it with vectorshard.create_vector_shard_table().");
  return *table;
}

/// A tuple taken apart. The arrays live in the current memory context.
struct Values {
  Datum *values;
  bool *nulls;
};

Values deform(const TriggerData *t, HeapTuple tuple) {
  return bridge::pg_call([&] {
    TupleDesc desc = RelationGetDescr(t->tg_relation);
    Values v{static_cast<Datum *>(palloc(sizeof(Datum) * desc->natts)),
             static_cast<bool *>(palloc(sizeof(bool) * desc->natts))};
    heap_deform_tuple(tuple, desc, v.values, v.nulls);
    return v;
  });
}

/// The client's name in text form; empty for a table without clients, or if it is null (core refuses that later).
std::string client_of(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple) {
  if (table.client_attnum == 0) return {};
  TupleDesc desc = RelationGetDescr(t->tg_relation);
  Oid type = TupleDescAttr(desc, table.client_attnum - 1)->atttypid;
  std::string_view view = bridge::pg_call([&]() -> std::string_view {
    bool isnull;
    Datum d = heap_getattr(tuple, table.client_attnum, desc, &isnull);
    if (isnull) return {};
    if (type == TEXTOID || type == VARCHAROID) {
      text *s = DatumGetTextPP(d);
      return {VARDATA_ANY(s), static_cast<size_t>(VARSIZE_ANY_EXHDR(s))};
    }
    Oid output;
    bool varlena;
    getTypeOutputInfo(type, &output, &varlena);
    return OidOutputFunctionCall(output, d);
  });
  return std::string(view);
}

Version version_of(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple) {
  return bridge::pg_call([&]() -> Version {
    bool isnull;
    Datum d = heap_getattr(tuple, table.version_attnum, RelationGetDescr(t->tg_relation), &isnull);
    return isnull ? 0 : DatumGetInt64(d);
  });
}

bool same(Form_pg_attribute a, const Values &x, const Values &y) {
  int i = a->attnum - 1;
  if (x.nulls[i] != y.nulls[i]) return false;
  return x.nulls[i] || bridge::pg_call([&] {
           return datum_image_eq(x.values[i], y.values[i], a->attbyval, a->attlen);
         });
}

/// Whether a user's UPDATE changed any column but _version and those that merge (WrittenValues judges them). Generated
/// columns follow from the others.
bool changed(const TriggerData *t, const EnrolledTable &table, const Values &old_row, const Values &new_row) {
  TupleDesc desc = RelationGetDescr(t->tg_relation);
  for (int i = 0; i < desc->natts; i++) {
    Form_pg_attribute a = TupleDescAttr(desc, i);
    if (a->attisdropped || a->attgenerated || a->attnum == table.version_attnum) continue;
    if (!same(a, old_row, new_row) && !merges(table, a->attnum)) return true;
  }
  return false;
}

bool key_changed(const TriggerData *t, const EnrolledTable &table, const Values &old_row, const Values &new_row) {
  for (AttrNumber k : table.key)
    if (!same(TupleDescAttr(RelationGetDescr(t->tg_relation), k - 1), old_row, new_row)) return true;
  return false;
}

/// The AFTER trigger fires by the columns that the statement names; a key changed behind it would leave no tombstone.
void check_key_was_named(const TriggerData *t, const EnrolledTable &table) {
  for (AttrNumber k : table.key)
    if (bms_is_member(k - FirstLowInvalidHeapAttributeNumber, t->tg_updatedcols)) return;
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED,
                         "a trigger changed the primary key of a row of \"" + table.name + "\"", {},
                         "Change the key in the UPDATE statement itself, or delete and insert the row.");
}

Datum with_version(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple, Version version,
                   const WrittenValues *written = nullptr, const EntryKey &entry = {}) {
  std::vector<int> columns{table.version_attnum};
  std::vector<Datum> values{Int64GetDatum(version)};
  if (written) written->replace(version, entry, &columns, &values);
  std::unique_ptr<bool[]> nulls(new bool[columns.size()]());
  return bridge::pg_call([&] {
    return PointerGetDatum(heap_modify_tuple_by_cols(tuple, RelationGetDescr(t->tg_relation), static_cast<int>(columns.size()),
                                                     columns.data(), values.data(), nulls.get()));
  });
}

/// Under which entry this node changes values that merge in a row of this client.
EntryKey own_entry(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple) {
  EntryKey entry{bridge::self_node(), static_cast<int64_t>(pg_atomic_read_u64(&bridge::shared()->incarnation)), 0};
  if (table.client_attnum != 0) entry.generation = residency_now(client_of(t, table, tuple)).generation;
  return entry;
}

InsertRouter insert_router = nullptr;
bool (*held_elsewhere)(const std::string *client) = nullptr;

[[noreturn]] void refuse_other_client(const std::string &was, const std::string &is) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "a row cannot be given to a client whose home is another node",
                         "The row belongs to client \"" + was + "\"; this node is not the home of client \"" + is + "\".",
                         "Delete the row and insert it anew.");
}

/// For a table of consistency home.
void fence_homes(const std::string &was, const std::string &is) {
  require_home(was);
  if (!is.empty() && is != was && !writes_at_home(is)) refuse_other_client(was, is);
}

/// The fence for the row's clients. It may copy a client here and so refresh the cache of tables: look up `table` anew.
void fence_clients(const TriggerData *t, HeapTuple old_tuple, HeapTuple new_tuple) {
  const EnrolledTable &table = table_of(t);
  if (table.client_attnum == 0) return;
  std::string was = old_tuple ? client_of(t, table, old_tuple) : "";
  std::string is = new_tuple ? client_of(t, table, new_tuple) : "";
  if (old_tuple && table.home) fence_homes(was, is);  // looks only at tables of the fabric, so `table` is still there
  if (old_tuple) fence(was, false);
  if (new_tuple && (!old_tuple || is != was)) fence(is, true);
}

/// An INSERT: whether the row is written here. `row`: what the trigger gives if it is not.
bool written_here(const TriggerData *t, Datum *row) {
  const EnrolledTable &table = table_of(t);
  if (table.client_attnum == 0 || (!table.home && !held_elsewhere(nullptr))) return true;
  std::string client = client_of(t, table, t->tg_trigtuple);
  if (!table.home && !held_elsewhere(&client)) return true;
  Inserted inserted{t, client, table.home && writes_at_home(client)};
  Routed routed = insert_router(inserted);
  if (routed == Routed::here) return true;
  *row = routed == Routed::done ? PointerGetDatum(nullptr) : with_version(t, table_of(t), t->tg_trigtuple, 0);
  return false;
}

Datum before_insert(const TriggerData *t) {
  Datum elsewhere;
  if (!written_here(t, &elsewhere)) return elsewhere;
  fence_clients(t, nullptr, t->tg_trigtuple);
  if (table_of(t).home) require_home(client_of(t, table_of(t), t->tg_trigtuple));
  start_watch();
  const EnrolledTable &table = table_of(t);
  Values row = deform(t, t->tg_trigtuple);
  WrittenValues written(table, {row.values, row.nulls});
  return with_version(t, table, t->tg_trigtuple, stamp(), &written);
}

Datum before_update(const TriggerData *t) {
  HeapTuple old_tuple = t->tg_trigtuple, new_tuple = t->tg_newtuple;
  fence_clients(t, old_tuple, new_tuple);
  const EnrolledTable &table = table_of(t);
  Values old_row = deform(t, old_tuple), new_row = deform(t, new_tuple);
  Version replaced = version_of(t, table, old_tuple);
  bool rekeyed = key_changed(t, table, old_row, new_row);
  WrittenValues written(table, {old_row.values, old_row.nulls}, {new_row.values, new_row.nulls}, rekeyed);
  EntryKey entry;
  if (written.grows()) entry = own_entry(t, table, old_tuple);
  // What merges, merges whatever the version is: keeping it leaves the other columns to those who write them.
  if (!written.births() && !changed(t, table, old_row, new_row))
    return with_version(t, table, new_tuple, replaced, &written, entry);
  if (rekeyed) {
    check_key_was_named(t, table);
    start_watch();
  }
  return with_version(t, table, new_tuple, stamp(replaced), &written, entry);
}

Datum before_delete(const TriggerData *t) {
  fence_clients(t, t->tg_trigtuple, nullptr);
  return PointerGetDatum(t->tg_trigtuple);
}

/// The row was stamped before it waited for its key: a delete that committed meanwhile is newer, and elsewhere the
/// row would be dead.
void check_tombstone(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple) {
  if (watch.transaction == MyProc->lxid && watch.epoch == tombstone_epoch()) return;
  Values row = deform(t, tuple);
  Version deleted = tombstone_now(table.name, bridge::key_text(table, row.values));
  if (!died_meanwhile(version_of(t, table, tuple), deleted)) return;
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE,
                         "a row with this key of \"" + table.name + "\" was deleted while the statement ran",
                         "Tombstone " + std::to_string(deleted) + " is newer than the row.", "Retry the transaction.");
}

void leave_tombstone(const TriggerData *t, const EnrolledTable &table, HeapTuple tuple) {
  Values row = deform(t, tuple);
  std::string name = table.name;  // the cache may be refreshed below
  std::vector<std::string> key = bridge::key_text(table, row.values);
  std::string client = client_of(t, table, tuple);
  Version version = stamp(version_of(t, table, tuple));
  bump_tombstone_epoch();  // after the stamp: an INSERT with an older stamp sees it move
  write_tombstone(name, key, client, version);
}

void after(const TriggerData *t, const EnrolledTable &table) {
  if (TRIGGER_FIRED_BY_INSERT(t->tg_event)) return check_tombstone(t, table, t->tg_trigtuple);
  if (TRIGGER_FIRED_BY_DELETE(t->tg_event)) return leave_tombstone(t, table, t->tg_trigtuple);
  if (!key_changed(t, table, deform(t, t->tg_trigtuple), deform(t, t->tg_newtuple))) return;
  check_tombstone(t, table, t->tg_newtuple);
  leave_tombstone(t, table, t->tg_trigtuple);  // last: it may refresh the cache of tables
}

/// A database that is in no fabric (a restored dump, a node that was removed) loads the extension's own rows as they are.
bool passes_through(const TriggerData *t) {
  if (bridge::self_node() != 0) return false;
  Oid own = bridge::pg_call([] { return get_namespace_oid("vectorshard", true); });
  return RelationGetNamespace(t->tg_relation) == own;
}

[[noreturn]] void refuse_truncate(const TriggerData *t) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED,
                         std::string("cannot truncate enrolled table \"") + RelationGetRelationName(t->tg_relation) + "\"",
                         "TRUNCATE leaves no tombstones, so the rows would come back from other nodes.", "Use DELETE.");
}

Datum run(const TriggerData *t) {
  ship::note_row_written();
  if (TRIGGER_FIRED_BY_TRUNCATE(t->tg_event)) {
    if (!passes_through(t)) refuse_truncate(t);
    return PointerGetDatum(nullptr);
  }
  bool update = TRIGGER_FIRED_BY_UPDATE(t->tg_event);
  if (bridge::self_node() == 0 && passes_through(t)) return PointerGetDatum(update ? t->tg_newtuple : t->tg_trigtuple);
  if (TRIGGER_FIRED_AFTER(t->tg_event)) {
    after(t, table_of(t));
    return PointerGetDatum(nullptr);
  }
  if (TRIGGER_FIRED_BY_INSERT(t->tg_event)) return before_insert(t);
  return update ? before_update(t) : before_delete(t);
}

}  // namespace

void set_insert_router(InsertRouter router) { insert_router = router; }
void set_held_elsewhere(bool (*held)(const std::string *)) { held_elsewhere = held; }

VECTORSHARD_FUNCTION(vectorshard_row_version) {
  return bridge::entry([&]() -> Datum {
    if (!CALLED_AS_TRIGGER(fcinfo))
      bridge::raise({Errc::invalid_argument, "vectorshard.row_version() is a trigger function", {}, {}});
    bridge::require_preloaded();
    return run(reinterpret_cast<TriggerData *>(fcinfo->context));
  });
}

}  // namespace vectorshard::apply
