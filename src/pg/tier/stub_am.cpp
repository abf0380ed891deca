// Reading and (refused) writing of rows of stubs: see stub_am.hpp.
#include "pg/tier/stub_am.hpp"

#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/stub_analyze.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/heapam.h"
#include "access/tsmapi.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "nodes/execnodes.h"
#include "storage/predicate.h"
#include "storage/bufmgr.h"
#if PG_VERSION_NUM >= 170000
#include "storage/read_stream.h"
#endif
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

/// One scan. In the memory context that was current when it began.
struct StubScan {
  TableScanDescData base;
  StubRowsHolder holder;
  uint64_t at;      // row the scan stands at; 0: before the first
  bool at_end;
  bool claimed;     // of a parallel scan: this process reads the rows
  bool asked;       // whether it does was asked
  BlockNumber block;        // of a sample
  OffsetNumber last_offset;
  StubSample *sample;       // of ANALYZE
};

StubScan *stub_scan(TableScanDesc scan) { return reinterpret_cast<StubScan *>(scan); }

const TupleTableSlotOps *slot_callbacks(Relation) { return stub_slot_callbacks(); }

TableScanDesc scan_begin(Relation rel, Snapshot snapshot, int nkeys, ScanKey key, ParallelTableScanDesc parallel, uint32 flags) {
  if (nkeys > 0) elog(ERROR, "scans of stubs take no keys");
  auto *scan = static_cast<StubScan *>(palloc0(sizeof(StubScan)));
  RelationIncrementReferenceCount(rel);
  scan->base.rs_rd = rel;
  scan->base.rs_snapshot = snapshot;
  scan->base.rs_key = key;
  scan->base.rs_flags = flags;
  scan->base.rs_parallel = parallel;
  // Rows cannot change now, but can when they are back in the heap, while a serializable transaction still counts.
  if (flags & (SO_TYPE_SEQSCAN | SO_TYPE_SAMPLESCAN) && snapshot && IsMVCCSnapshot(snapshot)) PredicateLockRelation(rel, snapshot);
  bridge::entry([&] { hold_stub_rows(&scan->holder, rel, CurrentMemoryContext); });
  return &scan->base;
}

void scan_end(TableScanDesc desc) {
  StubScan *scan = stub_scan(desc);
  release_stub_rows(&scan->holder);
  end_sample(scan->sample);
  if (desc->rs_flags & SO_TEMP_SNAPSHOT) UnregisterSnapshot(desc->rs_snapshot);
  RelationDecrementReferenceCount(desc->rs_rd);
}

void scan_rescan(TableScanDesc desc, ScanKey, bool, bool, bool, bool) {
  StubScan *scan = stub_scan(desc);
  bridge::entry([&] { scan->holder.rows->rewind(); });
  scan->at = 0;
  scan->at_end = scan->claimed = scan->asked = false;
}

/// Rows of one segment come from one process; the first of a parallel scan that asks.
bool claim(StubScan *scan) {
  if (!scan->base.rs_parallel) return true;
  if (!scan->asked) {
    auto *shared = reinterpret_cast<ParallelBlockTableScanDesc>(scan->base.rs_parallel);
    scan->claimed = pg_atomic_fetch_add_u64(&shared->phs_nallocated, 1) == 0;
    scan->asked = true;
  }
  return scan->claimed;
}

bool scan_getnextslot(TableScanDesc desc, ScanDirection direction, TupleTableSlot *slot) {
  StubScan *scan = stub_scan(desc);
  CHECK_FOR_INTERRUPTS();
  ExecClearTuple(slot);
  if (!claim(scan)) return false;
  return bridge::entry([&]() -> bool {
    StubRows *rows = scan->holder.rows;
    if (ScanDirectionIsForward(direction)) {
      if (scan->at_end) return false;
      bool any = rows->row(scan->at + 1, slot);
      scan->at++;
      scan->at_end = !any;
      return any;
    }
    if (scan->at == 0) return false;
    scan->at--;
    scan->at_end = false;
    return rows->row(scan->at, slot);
  });
}

/// Blocks of a sample are numbers of rows, kStubRowsPerBlock each.
bool scan_sample_next_block(TableScanDesc desc, SampleScanState *state) {
  StubScan *scan = stub_scan(desc);
  TsmRoutine *method = state->tsmroutine;
  double rows = Max(desc->rs_rd->rd_rel->reltuples, 0);
  auto blocks = static_cast<BlockNumber>((rows + kStubRowsPerBlock - 1) / kStubRowsPerBlock);
  scan->last_offset = InvalidOffsetNumber;
  if (method->NextSampleBlock) {
    scan->block = method->NextSampleBlock(state, blocks);
  } else {
    scan->block = scan->asked ? scan->block + 1 : 0;
    scan->asked = true;
    if (scan->block >= blocks) scan->block = InvalidBlockNumber;
  }
  return BlockNumberIsValid(scan->block);
}

bool scan_sample_next_tuple(TableScanDesc desc, SampleScanState *state, TupleTableSlot *slot) {
  StubScan *scan = stub_scan(desc);
  double rows = Max(desc->rs_rd->rd_rel->reltuples, 0);
  uint64_t first = static_cast<uint64_t>(scan->block) * kStubRowsPerBlock;
  auto most = static_cast<OffsetNumber>(Min(rows - static_cast<double>(first), static_cast<double>(kStubRowsPerBlock)));
  CHECK_FOR_INTERRUPTS();
  OffsetNumber offset = state->tsmroutine->NextSampleTuple(state, scan->block, most);
  ExecClearTuple(slot);
  if (!OffsetNumberIsValid(offset)) return false;
  return bridge::entry([&] { return scan->holder.rows->row(first + offset, slot); });
}

#if PG_VERSION_NUM >= 170000
bool scan_analyze_next_block(TableScanDesc desc, ReadStream *stream) {
  BufferAccessStrategy strategy;
  BlockNumber block = read_stream_next_block(stream, &strategy);
  if (!BlockNumberIsValid(block)) return false;
#else
bool scan_analyze_next_block(TableScanDesc desc, BlockNumber block, BufferAccessStrategy) {
#endif
  bridge::entry([&] { sample_block(&stub_scan(desc)->sample, desc->rs_rd, block); });
  return true;
}

bool scan_analyze_next_tuple(TableScanDesc desc, TransactionId, double *live, double *, TupleTableSlot *slot) {
  return sample_row(stub_scan(desc)->sample, live, slot);
}

/// Who looks into an index of a stub without a plan (checks of ON CONFLICT, subscriptions): it is empty, which is no answer.
IndexFetchTableData *index_fetch_begin(Relation rel) { bridge::entry([&] { refuse_stub(rel, "look up rows by an index of"); }); return nullptr; }
void index_fetch_reset(IndexFetchTableData *) {}
void index_fetch_end(IndexFetchTableData *) {}
bool index_fetch_tuple(IndexFetchTableData *, ItemPointer, Snapshot, TupleTableSlot *, bool *again, bool *dead) {
  *again = false;
  if (dead) *dead = false;
  return false;
}
TransactionId index_delete_tuples(Relation, TM_IndexDeleteOp *) { return InvalidTransactionId; }

bool tuple_fetch_row_version(Relation rel, ItemPointer tid, Snapshot, TupleTableSlot *slot) {
  return bridge::entry([&] { return StubRows::promise(rel, *tid, slot); });
}
bool tuple_tid_valid(TableScanDesc, ItemPointer tid) { return stub_row(*tid) > 0; }
void tuple_get_latest_tid(TableScanDesc, ItemPointer) {}
bool tuple_satisfies_snapshot(Relation, TupleTableSlot *, Snapshot) { return true; }

void tuple_insert(Relation rel, TupleTableSlot *, CommandId, int, BulkInsertStateData *) {
  bridge::entry([&] { refuse_stub(rel, "insert into"); });
}
void tuple_insert_speculative(Relation rel, TupleTableSlot *, CommandId, int, BulkInsertStateData *, uint32) {
  bridge::entry([&] { refuse_stub(rel, "insert into"); });
}
void tuple_complete_speculative(Relation, TupleTableSlot *, uint32, bool) {}
void multi_insert(Relation rel, TupleTableSlot **, int, CommandId, int, BulkInsertStateData *) {
  bridge::entry([&] { refuse_stub(rel, "insert into"); });
}

TM_Result tuple_delete(Relation rel, ItemPointer, CommandId, Snapshot, Snapshot, bool, TM_FailureData *, bool) {
  bridge::entry([&] { refuse_stub(rel, "delete rows of"); });
  return TM_Ok;
}

#if PG_VERSION_NUM >= 160000
using UpdatedIndexes = TU_UpdateIndexes;
#else
using UpdatedIndexes = bool;
#endif
TM_Result tuple_update(Relation rel, ItemPointer, TupleTableSlot *, CommandId, Snapshot, Snapshot, bool, TM_FailureData *,
                       LockTupleMode *, UpdatedIndexes *) {
  bridge::entry([&] { refuse_stub(rel, "update rows of"); });
  return TM_Ok;
}

/// A lock that only keeps others from changing the row is there already, as long as the table is locked: bringing it back waits for that.
TM_Result tuple_lock(Relation rel, ItemPointer tid, Snapshot, TupleTableSlot *slot, CommandId, LockTupleMode mode, LockWaitPolicy,
                     uint8, TM_FailureData *failure) {
  failure->traversed = false;
  return bridge::entry([&]() -> TM_Result {
    if (mode != LockTupleKeyShare && mode != LockTupleShare) refuse_stub(rel, "lock for a change rows of");
    return StubRows::promise(rel, *tid, slot) ? TM_Ok : TM_Deleted;
  });
}

TableAmRoutine make_routine() {
  TableAmRoutine am{};
  am.type = T_TableAmRoutine;
  am.slot_callbacks = slot_callbacks;
  am.scan_begin = scan_begin;
  am.scan_end = scan_end;
  am.scan_rescan = scan_rescan;
  am.scan_getnextslot = scan_getnextslot;
  am.parallelscan_estimate = table_block_parallelscan_estimate;
  am.parallelscan_initialize = table_block_parallelscan_initialize;
  am.parallelscan_reinitialize = table_block_parallelscan_reinitialize;
  am.index_fetch_begin = index_fetch_begin;
  am.index_fetch_reset = index_fetch_reset;
  am.index_fetch_end = index_fetch_end;
  am.index_fetch_tuple = index_fetch_tuple;
  am.tuple_fetch_row_version = tuple_fetch_row_version;
  am.tuple_tid_valid = tuple_tid_valid;
  am.tuple_get_latest_tid = tuple_get_latest_tid;
  am.tuple_satisfies_snapshot = tuple_satisfies_snapshot;
  am.index_delete_tuples = index_delete_tuples;
  am.tuple_insert = tuple_insert;
  am.tuple_insert_speculative = tuple_insert_speculative;
  am.tuple_complete_speculative = tuple_complete_speculative;
  am.multi_insert = multi_insert;
  am.tuple_delete = tuple_delete;
  am.tuple_update = tuple_update;
  am.tuple_lock = tuple_lock;
  am.scan_analyze_next_block = scan_analyze_next_block;
  am.scan_analyze_next_tuple = scan_analyze_next_tuple;
  am.scan_sample_next_block = scan_sample_next_block;
  am.scan_sample_next_tuple = scan_sample_next_tuple;
  set_storage_callbacks(&am);
  return am;
}

}  // namespace

const TableAmRoutine *stub_routine() {
  static const TableAmRoutine am = make_routine();
  return &am;
}

Oid stub_access_method() {
  return bridge::pg_call([] { return get_table_am_oid("vectorshard_cold", true); });
}

bool is_stub(Oid relid) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(row)) return false;
  Oid am = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relam;
  char kind = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relkind;
  ReleaseSysCache(row);
  return kind == RELKIND_RELATION && OidIsValid(am) && am == get_table_am_oid("vectorshard_cold", true);
}

void refuse_stub(Relation rel, const char *what) {
  // The new file of a table that is rewritten is a relation of its own, which is no partition.
  if (!stub_segment(RelationGetRelid(rel)))
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "rows that lie in a store cannot be written anew",
                           "The statement would change every row of a partition that was moved to a store.",
                           "Bring the partition back first with vectorshard.move_to_hot(); a column with a constant default, or with none, can be added as it is.");
  const char *schema = bridge::pg_call([&] { return get_namespace_name(RelationGetNamespace(rel)); });
  std::string name = RelationGetRelationName(rel);
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, std::string("cannot ") + what + " \"" + name + "\"",
                         "Its rows lie in a store, where they can be read only.",
                         std::string("Bring it back first: SELECT vectorshard.move_to_hot('") + (schema ? schema : "") + "." + name + "'::regclass).");
}

}  // namespace vectorshard::tier

/// cold_handler(internal): the access method vectorshard_cold.
VECTORSHARD_FUNCTION(vectorshard_cold_handler) {
  (void)fcinfo;
  PG_RETURN_POINTER(vectorshard::tier::stub_routine());
}
