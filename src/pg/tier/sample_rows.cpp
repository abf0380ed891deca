// Samples for ANALYZE: see sample_rows.hpp.
#include "pg/tier/sample_rows.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_attribute.h"
#include "commands/progress.h"
#include "commands/vacuum.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
}

namespace vectorshard::tier {

namespace {

constexpr double kRowsOfTarget = 300;  // by which PostgreSQL multiplies a statistics target
constexpr size_t kLeastRows = 30;      // however wide they are

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

struct Away {
  std::string name, why;
  TimestampTz since = 0;  // start of the transaction
};
Away away;
std::string asked;  // the store of the sample that is taken

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

}  // namespace

Oid analyzed_table() {
  bool any = MyBEEntry && MyBEEntry->st_progress_command == PROGRESS_COMMAND_ANALYZE;
  return any ? MyBEEntry->st_progress_command_target : InvalidOid;
}

double rows_wanted(Relation rel, double share) {
  int target = default_statistics_target;
  Oid table = OidIsValid(analyzed_table()) ? analyzed_table() : RelationGetRelid(rel);
  for (int i = 1; i <= RelationGetNumberOfAttributes(rel); i++) target = Max(target, column_target(table, i));
  double most = kRowsOfTarget * target;
  return Min(most, most * share + kRowsOfTarget);
}

SegmentQuestion question_for_sample(Relation rel) {
  SegmentQuestion question;
  question.relid = RelationGetRelid(rel);
  for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++) {
    if (TupleDescAttr(RelationGetDescr(rel), i)->attisdropped) continue;
    question.outputs.push_back({SegmentOutput::Kind::attribute, i + 1, std::nullopt});
    question.places.push_back(i);
  }
  return question;
}

void SampleRows::add(TupleTableSlot *slot) {
  if (seen_++ % every_ != 0) return;
  ItemPointerData place = stub_tid(seen_);
  HeapTuple row = bridge::pg_call([&] {
    CHECK_FOR_INTERRUPTS();
    MemoryContext before = MemoryContextSwitchTo(context_);
    HeapTuple t = heap_form_tuple(slot->tts_tupleDescriptor, slot->tts_values, slot->tts_isnull);
    MemoryContextSwitchTo(before);
    t->t_self = place;
    return t;
  });
  rows_.push_back(row);
  bytes_ += row->t_len;
  while (bytes_ > most_bytes_ && rows_.size() > 2 * kLeastRows) thin_out();
}

void SampleRows::thin_out() {
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

void ask_store_for_sample(const std::string &store) {
  asked = store;
  if (away.name != store || away.since != GetCurrentTransactionStartTimestamp()) return;
  bridge::raise_sqlstate(ERRCODE_CONNECTION_FAILURE, "store \"" + store + "\" did not answer a moment ago", away.why);
}

bool try_sample(Relation rel, const std::function<void()> &read) {
  const Progress progress;
  try {
    bridge::Subtransaction sub;
    read();
    sub.release();
    return true;
  } catch (const bridge::PgError &e) {
    progress.restore();
    if (is_of_command(e.sqlstate)) bridge::raise_sqlstate(e.sqlstate, e.message, e.detail, e.hint);
    if (e.sqlstate == ERRCODE_CONNECTION_FAILURE && away.why != e.detail) away = {asked, e.detail.empty() ? e.message : e.detail, GetCurrentTransactionStartTimestamp()};
    warn(rel, e);
    return false;
  }
}

}  // namespace vectorshard::tier
