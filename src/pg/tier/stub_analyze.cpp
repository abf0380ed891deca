// ANALYZE of stubs: see stub_analyze.hpp. PostgreSQL chooses blocks and rows in them; here the rows come first: as many as it can want, in one go, and
// are dealt out over whatever blocks it asks for. Nothing is given of a sample that could not be read to its end.
#include "pg/tier/stub_analyze.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/sample_rows.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/progress.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

/// In a memory context of its own.
struct StubSample {
  MemoryContext context;
  HeapTuple *rows;
  size_t count, next, due;  // those before `next` were given, those before `due` are to be
  double total;             // rows of the table
  BlockNumber blocks;
  bool counted;             // rows that the block stands for
};

namespace {

constexpr BlockNumber kSampledBlocks = 10000;
constexpr double kLeastShare = 0.001;
constexpr double kShareMargin = 2;          // shares are estimates

/// True while rows of this table are asked for; not while tables are weighed against each other.
bool is_being_sampled(Oid relid) {
  Oid table = analyzed_table();
  if (!OidIsValid(table)) return false;
  const int64 *told = MyBEEntry->st_progress_param;
  if (told[PROGRESS_ANALYZE_PHASE] == PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS) return table == relid;
  return told[PROGRESS_ANALYZE_PHASE] == PROGRESS_ANALYZE_PHASE_ACQUIRE_SAMPLE_ROWS_INH &&
         static_cast<Oid>(told[PROGRESS_ANALYZE_CURRENT_CHILD_TABLE_RELID]) == relid;
}

double pages_of(Oid relid) {
  HeapTuple row = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
  if (!HeapTupleIsValid(row)) return 0;
  double pages = reinterpret_cast<Form_pg_class>(GETSTRUCT(row))->relpages;
  ReleaseSysCache(row);
  return Max(pages, 0);
}

/// About which part of the analyzed table's sample comes from this one. The pages of all are added up once for each table that is analyzed.
double share_of_sample(Oid relid) {
  static Oid of = InvalidOid;
  static TimestampTz since = 0;
  static double pages = 0;
  Oid table = analyzed_table();
  if (!OidIsValid(table) || table == relid) return 1;
  TimestampTz now = GetCurrentTransactionStartTimestamp();
  if (of != table || since != now) {
    pages = 0;
    ListCell *lc;
    foreach (lc, find_all_inheritors(table, NoLock, nullptr)) pages += pages_of(lfirst_oid(lc));
    of = table;
    since = now;
  }
  return Min(Max(pages_of(relid) / Max(pages, 1) * kShareMargin, kLeastShare), 1.0);
}

void keep(const std::vector<HeapTuple> &rows, StubSample *sample) {
  const size_t n = rows.size();
  sample->rows = bridge::pg_call([&] {
    return static_cast<HeapTuple *>(MemoryContextAllocHuge(sample->context, sizeof(HeapTuple) * (n + 1)));
  });
  std::copy(rows.begin(), rows.end(), sample->rows);
  sample->count = n;
}

void read_sample(StubSample *sample, Relation rel, const std::string &segment, double share) {
  SegmentQuestion question = question_for_sample(rel);
  question.segment = segment;
  double wanted = bridge::pg_call([&] { return rows_wanted(rel, share); });
  question.sample = SegmentSample{wanted, static_cast<int64_t>(share * bridge::guc::analyze_mb * 1024 * 1024)};
  TupleTableSlot *slot = bridge::pg_call([&] { return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual); });
  SampleRows rows(sample->context, share * maintenance_work_mem * 1024);
  {
    auto scan = ask_segment(std::move(question));
    while (scan->next(slot)) rows.add(slot);
  }
  keep(rows.rows(), sample);
  bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
}

StubSample *take_sample(Relation rel) {
  auto *sample = bridge::pg_call([&] {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "vectorshard sample", ALLOCSET_DEFAULT_SIZES);
    auto *s = static_cast<StubSample *>(MemoryContextAllocZero(context, sizeof(StubSample)));
    s->context = context;
    s->blocks = Max(RelationGetNumberOfBlocks(rel), 1);
    s->total = Max(rel->rd_rel->reltuples, 0);
    return s;
  });
  double share = bridge::pg_call([&] { return share_of_sample(RelationGetRelid(rel)); });
  (void)try_sample(rel, [&] {
    const std::string segment = require_stub_segment(RelationGetRelid(rel));
    sample->total = static_cast<double>(facts_of(segment).segment.rows);
    ask_store_for_sample(facts_of(segment).segment.store);
    read_sample(sample, rel, segment, share);
  });
  return sample;
}

}  // namespace

// PostgreSQL 15 and 16 prefetch the blocks that they chose, which is an error beyond the first gigabyte of a file that is empty. Weights of
// partitions in their parent's sample are those of the heaps.
BlockNumber shown_blocks(Relation rel, BlockNumber heap) {
  if (is_being_sampled(RelationGetRelid(rel))) return Min(heap, kSampledBlocks);
#if PG_VERSION_NUM < 170000
  // It cannot be told what the blocks are for.
  if (!pgstat_track_activities) return Min(heap, static_cast<BlockNumber>(RELSEG_SIZE - 1));
#endif
  return heap;
}

void sample_block(StubSample **sample, Relation rel, BlockNumber block) {
  if (!*sample) *sample = take_sample(rel);
  StubSample *s = *sample;
  s->due = static_cast<size_t>(static_cast<double>(s->count) * (static_cast<double>(block) + 1) / static_cast<double>(s->blocks));
  s->due = std::min(s->due, s->count);
  s->counted = false;
}

bool sample_row(StubSample *s, double *live, TupleTableSlot *slot) {
  if (!s->counted) *live += s->total / static_cast<double>(s->blocks);
  s->counted = true;
  ExecClearTuple(slot);
  if (s->next >= s->due) return false;
  HeapTuple row = s->rows[s->next++];
  heap_deform_tuple(row, slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
  ExecStoreVirtualTuple(slot);
  slot->tts_tid = row->t_self;
  return true;
}

void end_sample(StubSample *sample) {
  if (sample) MemoryContextDelete(sample->context);
}

HeapTuple tuple_with_place(TupleTableSlot *slot) {
  HeapTuple row = TTSOpsVirtual.copy_heap_tuple(slot);
  row->t_self = slot->tts_tid;
  row->t_tableOid = slot->tts_tableOid;
  return row;
}

}  // namespace vectorshard::tier
