// Exchanging what lies under a partition while it stays attached: its heap for an empty file of vectorshard_cold, and back. The partition keeps its
// oid, and with it grants, keys, dependents, triggers and statistics. Each function is part of one transaction, whose end makes all of it or nothing.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/stub_am.hpp"
extern "C" {
#include "access/attmap.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/toasting.h"
#include "commands/cluster.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "storage/smgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

constexpr char kToastName[] = "pg_toast_%u";
constexpr int64_t kLoadBlock = 256;

[[noreturn]] void raise_changed(const char *what) {
  ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("%s changed while the partition was moved", what),
                  errhint("Ask for the move again.")));
}

HeapTuple class_row(Oid relid) {
  HeapTuple row = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(row)) ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation %u does not exist", relid)));
  return row;
}

Form_pg_class form_of(HeapTuple row) { return reinterpret_cast<Form_pg_class>(GETSTRUCT(row)); }

/// A table of large values belongs to the table that has its file now, and goes with it.
void own_toast(Oid toast, Oid owner) {
  if (!OidIsValid(toast)) return;
  deleteDependencyRecordsFor(RelationRelationId, toast, false);
  ObjectAddress table, large;
  ObjectAddressSet(table, RelationRelationId, owner);
  ObjectAddressSet(large, RelationRelationId, toast);
  recordDependencyOn(&large, &table, DEPENDENCY_INTERNAL);
}

/// Files, and what describes them, change places between two tables, or between two indexes.
void exchange(Oid a, Oid b) {
  HeapTuple row_a = class_row(a), row_b = class_row(b);
  Form_pg_class f = form_of(row_a), g = form_of(row_b);
  if (!OidIsValid(f->relfilenode) || !OidIsValid(g->relfilenode)) elog(ERROR, "a relation without a file cannot be exchanged");
  Oid am_a = f->relam, am_b = g->relam;
  std::swap(f->relfilenode, g->relfilenode);
  std::swap(f->reltablespace, g->reltablespace);
  std::swap(f->relam, g->relam);
  std::swap(f->reltoastrelid, g->reltoastrelid);
  std::swap(f->relfrozenxid, g->relfrozenxid);
  std::swap(f->relminmxid, g->relminmxid);
  std::swap(f->relallvisible, g->relallvisible);
  std::swap(f->relpages, g->relpages);
  std::swap(f->reltuples, g->reltuples);
  Relation classes = table_open(RelationRelationId, RowExclusiveLock);
  CatalogTupleUpdate(classes, &row_a->t_self, row_a);
  CatalogTupleUpdate(classes, &row_b->t_self, row_b);
  table_close(classes, RowExclusiveLock);
  if (am_a != am_b && (changeDependencyFor(RelationRelationId, a, AccessMethodRelationId, am_a, am_b) != 1 ||
                       changeDependencyFor(RelationRelationId, b, AccessMethodRelationId, am_b, am_a) != 1))
    elog(ERROR, "could not change the access methods of relations %u and %u", a, b);
  own_toast(f->reltoastrelid, a);
  own_toast(g->reltoastrelid, b);
#if PG_VERSION_NUM < 170000
  RelationCloseSmgrByOid(a);
  RelationCloseSmgrByOid(b);
#endif
  CommandCounterIncrement();
}

void set_size(Oid relid, BlockNumber pages, double rows) {
  HeapTuple row = class_row(relid);
  form_of(row)->relpages = static_cast<int32>(pages);
  form_of(row)->reltuples = static_cast<float4>(rows);
  Relation classes = table_open(RelationRelationId, RowExclusiveLock);
  CatalogTupleUpdate(classes, &row->t_self, row);
  table_close(classes, RowExclusiveLock);
  CommandCounterIncrement();
}

/// A table of large values is called after its table.
void name_toast(Oid relid) {
  HeapTuple row = class_row(relid);
  Oid toast = form_of(row)->reltoastrelid;
  if (!OidIsValid(toast)) return;
  RenameRelationInternal(toast, psprintf(kToastName, relid), true, false);
  Relation rel = table_open(toast, AccessShareLock);
  Oid index = linitial_oid(RelationGetIndexList(rel));
  table_close(rel, NoLock);
  RenameRelationInternal(index, psprintf("pg_toast_%u_index", relid), true, true);
  CommandCounterIncrement();
  ResetRelRewrite(toast);
  CommandCounterIncrement();
}

/// The defaults that old rows of `from` read for columns that were added later.
void copy_missing(Oid from, Oid to) {
  Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
  int natts = form_of(class_row(from))->relnatts;
  for (int i = 1; i <= natts; i++) {
    HeapTuple old = SearchSysCache2(ATTNUM, ObjectIdGetDatum(from), Int16GetDatum(static_cast<int16>(i)));
    HeapTuple now = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(to), Int16GetDatum(static_cast<int16>(i)));
    if (!HeapTupleIsValid(old) || !HeapTupleIsValid(now)) raise_changed("its columns");
    bool null;
    Datum value = SysCacheGetAttr(ATTNUM, old, Anum_pg_attribute_attmissingval, &null);
    if (reinterpret_cast<Form_pg_attribute>(GETSTRUCT(old))->atthasmissing && !null) {
      Datum values[Natts_pg_attribute] = {};
      bool nulls[Natts_pg_attribute] = {}, set[Natts_pg_attribute] = {};
      values[Anum_pg_attribute_atthasmissing - 1] = BoolGetDatum(true);
      values[Anum_pg_attribute_attmissingval - 1] = value;
      set[Anum_pg_attribute_atthasmissing - 1] = set[Anum_pg_attribute_attmissingval - 1] = true;
      HeapTuple changed = heap_modify_tuple(now, RelationGetDescr(attributes), values, nulls, set);
      CatalogTupleUpdate(attributes, &changed->t_self, changed);
    }
    ReleaseSysCache(old);
  }
  table_close(attributes, RowExclusiveLock);
  CommandCounterIncrement();
}

void empty_indexes(Oid relid) {
  ReindexParams params{};
#if PG_VERSION_NUM >= 170000
  reindex_relation(nullptr, relid, 0, &params);
#else
  reindex_relation(relid, 0, &params);
#endif
}

/// The partition becomes a stub; what it was is the table that is given. Indexes stay, empty.
Oid make_stub(Oid partition, const char *kept_name, double rows, Oid access_method) {
  if (!XLogIsNeeded()) ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE), errmsg("wal_level must be replica or higher")));
  Relation rel = table_open(partition, AccessExclusiveLock);
  CheckTableNotInUse(rel, "move_to_cold");
  Oid tablespace = rel->rd_rel->reltablespace;
  BlockNumber pages = RelationGetNumberOfBlocks(rel);
  table_close(rel, NoLock);
  Oid kept = make_new_heap(partition, tablespace, access_method, RELPERSISTENCE_PERMANENT, AccessExclusiveLock);
  CommandCounterIncrement();
  exchange(partition, kept);
  copy_missing(partition, kept);
  set_size(kept, pages, rows);
  set_size(partition, 0, 0);  // hash indexes are made for as many rows as are expected
  RenameRelationInternal(kept, kept_name, false, false);
  CommandCounterIncrement();
  name_toast(kept);
  empty_indexes(partition);
  set_size(partition, pages, rows);
  return kept;
}

/// An index like the one given on another table with the same columns.
Oid clone_index(Oid index, Oid heap, const char *schema, const char *name) {
  Relation source = index_open(index, AccessShareLock);
  Relation rel = table_open(heap, AccessExclusiveLock);
  int natts = RelationGetNumberOfAttributes(rel);
  table_close(rel, NoLock);
  AttrMap *same = make_attrmap(natts);
  for (int i = 0; i < natts; i++) same->attnums[i] = static_cast<AttrNumber>(i + 1);
  Oid constraint;
  IndexStmt *statement = generateClonedIndexStmt(makeRangeVar(pstrdup(schema), pstrdup(name), -1), source, same, &constraint);
  index_close(source, AccessShareLock);
  // The constraint is the partition's; its index alone is made.
  statement->primary = statement->isconstraint = statement->deferrable = statement->initdeferred = false;
  statement->excludeOpNames = NIL;
  statement->idxcomment = nullptr;
#if PG_VERSION_NUM >= 160000
  ObjectAddress made = DefineIndex(heap, statement, InvalidOid, InvalidOid, InvalidOid, -1, false, false, true, false, true);
#else
  ObjectAddress made = DefineIndex(heap, statement, InvalidOid, InvalidOid, InvalidOid, false, false, true, false, true);
#endif
  CommandCounterIncrement();
  return made.objectId;
}

/// An empty heap with the columns of a stub, its dropped ones too: the file can take the stub's place.
Oid make_heap(Oid stub, const char *name) {
  Relation rel = table_open(stub, AccessShareLock);
  if (!is_stub(rel)) raise_changed(RelationGetRelationName(rel));
  Oid tablespace = rel->rd_rel->reltablespace;
  table_close(rel, NoLock);
  Oid heap = make_new_heap(stub, tablespace, HEAP_TABLE_AM_OID, RELPERSISTENCE_PERMANENT, AccessShareLock);
  CommandCounterIncrement();
  RenameRelationInternal(heap, name, false, false);
  CommandCounterIncrement();
  // As of a rewrite: what is loaded is not decoded, as it is no change.
  NewHeapCreateToastTable(heap, static_cast<Datum>(0), AccessExclusiveLock, stub);
  CommandCounterIncrement();
  return heap;
}

/// Writes rows into a new heap, many at a time.
class HeapLoad {
 public:
  explicit HeapLoad(Oid heap) {
    bridge::pg_call([&] {
      rel_ = table_open(heap, AccessExclusiveLock);
      bulk_ = GetBulkInsertState();
      row_ = MakeSingleTupleTableSlot(RelationGetDescr(rel_), &TTSOpsVirtual);
      for (TupleTableSlot *&s : slots_) s = MakeSingleTupleTableSlot(RelationGetDescr(rel_), &TTSOpsHeapTuple);
      rows_ = AllocSetContextCreate(CurrentMemoryContext, "vectorshard load", ALLOCSET_DEFAULT_SIZES);
    });
  }
  /// Where the next row is to be put.
  TupleTableSlot *row() { return row_; }
  void add() {
    bridge::pg_call([&] {
      MemoryContext before = MemoryContextSwitchTo(rows_);
      ExecStoreHeapTuple(heap_form_tuple(row_->tts_tupleDescriptor, row_->tts_values, row_->tts_isnull), slots_[count_], false);
      MemoryContextSwitchTo(before);
    });
    if (++count_ == kLoadBlock) write();
  }
  void end() {
    write();
    bridge::pg_call([&] {
      FreeBulkInsertState(bulk_);
      ExecDropSingleTupleTableSlot(row_);
      for (TupleTableSlot *s : slots_) ExecDropSingleTupleTableSlot(s);
      MemoryContextDelete(rows_);
      table_close(rel_, NoLock);
      CommandCounterIncrement();
    });
  }

 private:
  void write() {
    bridge::pg_call([&] {
      CHECK_FOR_INTERRUPTS();
      if (count_ > 0) heap_multi_insert(rel_, slots_, static_cast<int>(count_), GetCurrentCommandId(true), TABLE_INSERT_SKIP_FSM | TABLE_INSERT_FROZEN, bulk_);
      for (size_t i = 0; i < count_; i++) ExecClearTuple(slots_[i]);
      MemoryContextReset(rows_);
    });
    count_rows(count_);
    count_ = 0;
  }

  Relation rel_;
  BulkInsertState bulk_;
  TupleTableSlot *row_, *slots_[kLoadBlock];
  MemoryContext rows_;
  size_t count_ = 0;
};

/// Writes the rows of the segment into the heap. Nobody sees it before this transaction has committed, so the rows are born frozen. They are no
/// change of the table: the shipper need not keep them until the transaction ends, only to leave them out.
int64_t load_rows(Oid stub, const std::string &segment, Oid heap) {
  bridge::HiddenScope hidden;
  auto scan = read_segment(segment, stub);
  begin_loading(segment);
  HeapLoad load(heap);
  int64_t rows = 0;
  while (scan->next(load.row())) {
    rows++;
    load.add();
  }
  load.end();
  return rows;
}

/// Indexes whose contents count.
List *valid_indexes(Oid relid) {
  Relation rel = table_open(relid, AccessShareLock);
  List *valid = NIL;
  ListCell *lc;
  foreach (lc, RelationGetIndexList(rel)) {
    Relation index = index_open(lfirst_oid(lc), AccessShareLock);
    if (index->rd_index->indisvalid) valid = lappend_oid(valid, lfirst_oid(lc));
    index_close(index, AccessShareLock);
  }
  table_close(rel, NoLock);
  return valid;
}

/// The rows in the new heap are those of the columns as they were when it was loaded.
void require_same_columns(Relation a, Relation b) {
  TupleDesc x = RelationGetDescr(a), y = RelationGetDescr(b);
  bool same = x->natts == y->natts;
  for (int i = 0; i < x->natts && same; i++) {
    Form_pg_attribute p = TupleDescAttr(x, i), q = TupleDescAttr(y, i);
    same = p->attisdropped == q->attisdropped && p->attlen == q->attlen && p->attalign == q->attalign &&
           (p->attisdropped || (p->atttypid == q->atttypid && p->atttypmod == q->atttypmod));
  }
  if (!same) raise_changed("columns");
}

struct Oids {
  Oid *values;
  int count;
};
Oids oids_of(ArrayType *array) {
  Datum *values;
  int count;
  deconstruct_array(array, OIDOID, sizeof(Oid), true, TYPALIGN_INT, &values, nullptr, &count);
  auto *out = static_cast<Oid *>(palloc(sizeof(Oid) * static_cast<size_t>(count + 1)));
  for (int i = 0; i < count; i++) out[i] = DatumGetObjectId(values[i]);
  return {out, count};
}

/// The stub has the loaded heap's file, its indexes those of the clones; the other way round for what is to be dropped.
void end_stub(Oid stub, Oid heap, Oids indexes, Oids clones, double rows) {
  Relation to = table_open(stub, AccessExclusiveLock), from = table_open(heap, AccessExclusiveLock);
  CheckTableNotInUse(to, "move_to_hot");
  if (!is_stub(to) || is_stub(from)) raise_changed(RelationGetRelationName(to));
  require_same_columns(to, from);
  BlockNumber pages = RelationGetNumberOfBlocks(from);
  table_close(from, NoLock);
  table_close(to, NoLock);
  List *now = valid_indexes(stub);
  for (int i = 0; i < indexes.count; i++) now = list_delete_oid(now, indexes.values[i]);
  if (now != NIL || indexes.count != clones.count) raise_changed("indexes");
  for (int i = 0; i < indexes.count; i++)
    if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(indexes.values[i]))) {  // else dropped meanwhile
      LockRelationOid(indexes.values[i], AccessExclusiveLock);
      LockRelationOid(clones.values[i], AccessExclusiveLock);
      exchange(indexes.values[i], clones.values[i]);
    }
  exchange(stub, heap);
  Relation rel = table_open(stub, NoLock);
  RelationClearMissing(rel);
  table_close(rel, NoLock);
  set_size(stub, pages, rows);
  CommandCounterIncrement();
}

}  // namespace

}  // namespace vectorshard::tier

using namespace vectorshard;

/// make_stub(partition, kept_name, rows): the table that has its heap from now on.
VECTORSHARD_FUNCTION(vectorshard_make_stub) {
  return bridge::entry([&]() -> Datum {
    Oid am = tier::stub_access_method();
    std::string name = bridge::text_argument(fcinfo, 1);
    const char *kept = name.c_str();
    return bridge::pg_call([&] {
      return ObjectIdGetDatum(tier::make_stub(PG_GETARG_OID(0), kept, static_cast<double>(PG_GETARG_INT64(2)), am));
    });
  });
}

/// load_stub(partition, segment, name) → (heap, rows, indexes, clones)
VECTORSHARD_FUNCTION(vectorshard_load_stub) {
  return bridge::entry([&]() -> Datum {
    Oid stub = PG_GETARG_OID(0);
    std::string segment = bridge::text_argument(fcinfo, 1), name = bridge::text_argument(fcinfo, 2);
    const char *table = name.c_str();
    Oid heap = bridge::pg_call([&] { return tier::make_heap(stub, table); });
    int64_t rows = tier::load_rows(stub, segment, heap);
    return bridge::pg_call([&] {
      const char *schema = get_namespace_name(get_rel_namespace(heap));
      ArrayBuildState *indexes = initArrayResult(OIDOID, CurrentMemoryContext, false);
      ArrayBuildState *clones = initArrayResult(OIDOID, CurrentMemoryContext, false);
      ListCell *lc;
      foreach (lc, tier::valid_indexes(stub)) {
        Oid clone = tier::clone_index(lfirst_oid(lc), heap, schema, table);
        indexes = accumArrayResult(indexes, ObjectIdGetDatum(lfirst_oid(lc)), false, OIDOID, CurrentMemoryContext);
        clones = accumArrayResult(clones, ObjectIdGetDatum(clone), false, OIDOID, CurrentMemoryContext);
      }
      TupleDesc desc;
      if (get_call_result_type(fcinfo, nullptr, &desc) != TYPEFUNC_COMPOSITE) elog(ERROR, "load_stub() gives a row");
      Datum values[] = {ObjectIdGetDatum(heap), Int64GetDatum(rows), makeArrayResult(indexes, CurrentMemoryContext),
                        makeArrayResult(clones, CurrentMemoryContext)};
      bool nulls[] = {false, false, false, false};
      return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
    });
  });
}

/// end_stub(partition, heap, indexes, clones, rows): the partition is that heap from now on.
VECTORSHARD_FUNCTION(vectorshard_end_stub) {
  return bridge::entry([&]() -> Datum {
    bridge::pg_call([&] {
      tier::end_stub(PG_GETARG_OID(0), PG_GETARG_OID(1), tier::oids_of(PG_GETARG_ARRAYTYPE_P(2)), tier::oids_of(PG_GETARG_ARRAYTYPE_P(3)),
                     static_cast<double>(PG_GETARG_INT64(4)));
      // The stub's file and the clones go; the large values are named after the partition once the names are free.
      ObjectAddress gone;
      ObjectAddressSet(gone, RelationRelationId, PG_GETARG_OID(1));
      performDeletion(&gone, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
      CommandCounterIncrement();
      tier::name_toast(PG_GETARG_OID(0));
    });
    PG_RETURN_VOID();
  });
}
