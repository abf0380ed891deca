// ANALYZE of stubs: see stub_analyze.hpp. PostgreSQL chooses blocks and rows in them; here the rows come first: as many as it can want, in one go, and
// are dealt out over whatever blocks it asks for. Nothing is given of a sample that could not be read to its end.
#include "pg/tier/stub_analyze.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/segment_query.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
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

constexpr double kRowsOfTarget = 300;       // by which PostgreSQL multiplies a statistics target
constexpr BlockNumber kSampledBlocks = 10000;
constexpr double kLeastShare = 0.001;
constexpr size_t kLeastRows = 30;           // however wide they are
constexpr double kShareMargin = 2;          // shares are estimates

/// The table that this process analyzes now.
Oid analyzed_table() {
  bool any = MyBEEntry && MyBEEntry->st_progress_command == PROGRESS_COMMAND_ANALYZE;
  return any ? MyBEEntry->st_progress_command_target : InvalidOid;
}

/// What ANALYZE has told of its progress; the end of a subtransaction forgets it, and what stands above needs it.
class Progress {
 public:
  Progress() : table_(analyzed_table()) {
    if (OidIsValid(table_)) std::copy_n(MyBEEntry->st_progress_param, PGSTAT_NUM_PROGRESS_PARAM, told_);
  }
  void restore() const {
    if (!OidIsValid(table_) || OidIsValid(analyzed_table())) return;
    pgstat_progress_start_command(PROGRESS_COMMAND_ANALYZE, table_);
    for (int i = 0; i < PGSTAT_NUM_PROGRESS_PARAM; i++) pgstat_progress_update_param(i, told_[i]);
  }

 private:
  Oid table_;
  int64 told_[PGSTAT_NUM_PROGRESS_PARAM];
};

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

int column_target(Oid relid, int attribute) {
  HeapTuple row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(static_cast<int16>(attribute)));
  if (!HeapTupleIsValid(row)) return -1;
  bool null;
  Datum value = SysCacheGetAttr(ATTNUM, row, Anum_pg_attribute_attstattarget, &null);
#if PG_VERSION_NUM >= 160000
  int target = null ? -1 : DatumGetInt16(value);
#else
  int target = null ? -1 : DatumGetInt32(value);
#endif
  ReleaseSysCache(row);
  return target;
}

/// The most rows that PostgreSQL can want.
double rows_wanted(Relation rel, double share) {
  int target = default_statistics_target;
  Oid table = OidIsValid(analyzed_table()) ? analyzed_table() : RelationGetRelid(rel);
  for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++) target = Max(target, column_target(table, i));
  double most = kRowsOfTarget * target;
  return Min(most, most * share + kRowsOfTarget);
}

/// Rows as they come, as long as there is memory for them; then every second one, every fourth, …: they stay spread over all.
class Collected {
 public:
  Collected(StubSample *sample, double most_bytes) : sample_(sample), most_bytes_(most_bytes) {}

  void add(TupleTableSlot *slot) {
    if (seen_++ % every_ != 0) return;
    ItemPointerData place = stub_tid(seen_);
    HeapTuple row = bridge::pg_call([&] {
      CHECK_FOR_INTERRUPTS();
      MemoryContext before = MemoryContextSwitchTo(sample_->context);
      HeapTuple t = heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
      MemoryContextSwitchTo(before);
      t->t_self = place;
      return t;
    });
    rows_.push_back(row);
    bytes_ += row->t_len;
    while (bytes_ > most_bytes_ && rows_.size() > 2 * kLeastRows) thin_out();
  }

  void end() {
    const size_t n = rows_.size();
    sample_->rows = bridge::pg_call([&] {
      return static_cast<HeapTuple *>(MemoryContextAllocHuge(sample_->context, sizeof(HeapTuple) * (n + 1)));
    });
    std::copy(rows_.begin(), rows_.end(), sample_->rows);
    sample_->count = n;
  }

 private:
  void thin_out() {
    every_ *= 2;
    size_t kept = 0;
    for (size_t i = 0; i < rows_.size(); i++) {
      if (i % 2 == 0) {
        rows_[kept++] = rows_[i];
        continue;
      }
      bytes_ -= rows_[i]->t_len;
      heap_freetuple(rows_[i]);
    }
    rows_.resize(kept);
  }

  StubSample *sample_;
  double most_bytes_, bytes_ = 0;
  uint64_t seen_ = 0, every_ = 1;
  std::vector<HeapTuple> rows_;
};

void read_sample(StubSample *sample, Relation rel, const std::string &segment, double share) {
  const Oid relid = RelationGetRelid(rel);
  SegmentQuestion question;
  question.segment = segment;
  question.relid = relid;
  for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
    if (TupleDescAttr(RelationGetDescr(rel), i)->attisdropped) continue;
    question.outputs.push_back({SegmentOutput::Kind::attribute, i + 1, std::nullopt});
    question.places.push_back(i);
  }
  double wanted = bridge::pg_call([&] { return rows_wanted(rel, share); });
  question.sample = SegmentSample{wanted, static_cast<int64_t>(share * bridge::guc::analyze_mb * 1024 * 1024)};
  TupleTableSlot *slot = bridge::pg_call([&] { return MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual); });
  Collected rows(sample, share * maintenance_work_mem * 1024);
  {
    auto scan = ask_segment(std::move(question));
    while (scan->next(slot)) rows.add(slot);
  }
  rows.end();
  bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
}

/// A store that did not answer is not asked again by the same command: each time would be a wait.
struct AwayStore {
  std::string name, why;
  TimestampTz since = 0;  // start of the transaction
};
AwayStore away;

void refuse_away(const std::string &store) {
  if (away.name != store || away.since != GetCurrentTransactionStartTimestamp()) return;
  bridge::raise_sqlstate(ERRCODE_CONNECTION_FAILURE, "store \"" + store + "\" did not answer a moment ago", away.why);
}

/// What ends the command, or the session, and says nothing of a store.
bool is_of_command(int sqlstate) {
  return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_OPERATOR_INTERVENTION || sqlstate == ERRCODE_OUT_OF_MEMORY || sqlstate == ERRCODE_LOCK_NOT_AVAILABLE;
}

void warn(Relation rel, const bridge::PgError &e) {
  std::string why = e.message + (e.detail.empty() ? "" : ": " + e.detail);
  const char *name = RelationGetRelationName(rel), *reason = why.c_str();
  bool own = !OidIsValid(analyzed_table()) || analyzed_table() == RelationGetRelid(rel);
  bridge::pg_call([&] {
    ereport(WARNING, (errmsg("skipping \"%s\" --- its rows cannot be read from the store", name), errdetail("%s", reason),
                      own ? errhint("Its statistics stay as they are. ANALYZE it again when they can be read.")
                          : errhint("Its rows are counted, and have no part in the other statistics. ANALYZE the parent again when they can be read.")));
  });
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
  const Progress progress;
  std::string store;
  try {
    bridge::Subtransaction sub;
    const std::string segment = require_stub_segment(RelationGetRelid(rel));
    sample->total = static_cast<double>(facts_of(segment).segment.rows);
    store = facts_of(segment).segment.store;
    refuse_away(store);
    read_sample(sample, rel, segment, share);
    sub.release();
  } catch (const bridge::PgError &e) {
    progress.restore();
    if (is_of_command(e.sqlstate)) bridge::raise_sqlstate(e.sqlstate, e.message, e.detail, e.hint);
    if (e.sqlstate == ERRCODE_CONNECTION_FAILURE && away.why != e.detail) away = {store, e.detail.empty() ? e.message : e.detail, GetCurrentTransactionStartTimestamp()};
    warn(rel, e);
  }
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
