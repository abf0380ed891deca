// Writing rows of a batch: see merge_rows.hpp. The rows reach SQL through vectorshard.batch_rows(), which hands out the
// range that is being written and is an error at any other time. Everything is written as the table's owner in a
// restricted operation, in role replica, under an origin that our decoding drops.
#include "pg/apply/merge_rows.hpp"

#include "pg/apply/insert_absent.hpp"
#include "pg/apply/merge_sql.hpp"
#include "pg/apply/scopes.hpp"
#include "pg/apply/tombstone.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "access/xact.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"
}

namespace vectorshard::apply {

namespace {

/// What batch_rows() hands out: rows as arrays of Datums, in the order of the table's columns.
struct Source {
  std::vector<Datum *> values;
  std::vector<bool *> nulls;
};
const Source *source = nullptr;

class SourceScope {
 public:
  explicit SourceScope(const Source &s) : old_(source) { source = &s; }
  ~SourceScope() { source = old_; }
  SourceScope(const SourceScope &) = delete;
  SourceScope &operator=(const SourceScope &) = delete;

 private:
  const Source *old_;
};

/// A memory context for one range; dropped with it. While an error unwinds it is left to its parent, because the
/// ErrorData may lie in it.
class MemoryScope {
 public:
  MemoryScope() : exceptions_(std::uncaught_exceptions()) {
    bridge::pg_call([&] {
      context_ = AllocSetContextCreate(CurrentMemoryContext, "vectorshard batch", ALLOCSET_DEFAULT_SIZES);
      old_ = MemoryContextSwitchTo(context_);
    });
  }
  ~MemoryScope() {
    MemoryContextSwitchTo(old_);
    if (std::uncaught_exceptions() == exceptions_) MemoryContextDelete(context_);
  }
  MemoryScope(const MemoryScope &) = delete;
  MemoryScope &operator=(const MemoryScope &) = delete;

 private:
  int exceptions_;
  MemoryContext context_;
  MemoryContext old_;
};

/// The receive functions of a group's columns, looked up once for a range, and one buffer for all values. Lives in the
/// memory context that is current when it is made.
class Receiver {
 public:
  explicit Receiver(const Group &g) : group_(g), count_(g.table.columns.size()) {
    bridge::pg_call([&] {
      functions_ = static_cast<Function *>(palloc(sizeof(Function) * count_));
      for (size_t i = 0; i < count_; i++) {
        Oid function;
        getTypeBinaryInputInfo(g.table.columns[i].type, &function, &functions_[i].parameter);
        fmgr_info(function, &functions_[i].call);
      }
      initStringInfo(&buffer_);
    });
  }

  /// Inside pg_call: the values of a row as Datums, in the order of the table's columns.
  void take(const Item &item, Datum *values, bool *nulls) {
    for (size_t i = 0; i < count_; i++) {
      const auto &bytes = item.row->values[group_.source[i]];
      const bridge::EnrolledColumn &column = group_.table.columns[i];
      Function &f = functions_[i];
      nulls[i] = !bytes;
      if (!bytes) {
        values[i] = ReceiveFunctionCall(&f.call, nullptr, f.parameter, column.typmod);
        continue;
      }
      // A copy: receive functions may write into it and want a terminating zero.
      resetStringInfo(&buffer_);
      appendBinaryStringInfo(&buffer_, bytes->data(), static_cast<int>(bytes->size()));
      values[i] = ReceiveFunctionCall(&f.call, &buffer_, f.parameter, column.typmod);
      if (buffer_.cursor != buffer_.len)
        ereport(ERROR, (errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
                        errmsg("incorrect binary data format for column \"%s\"", column.name.c_str())));
    }
  }

 private:
  struct Function {
    FmgrInfo call;
    Oid parameter;
  };

  const Group &group_;
  size_t count_;
  Function *functions_ = nullptr;
  StringInfoData buffer_;
};

/// The key in text form, from values in the order of the table's columns.
std::vector<std::string> key_of(const Group &g, const Datum *values) {
  AttrNumber last = 0;
  for (const auto &c : g.table.columns) last = std::max(last, c.attnum);
  std::vector<Datum> by_attnum(static_cast<size_t>(last), 0);
  for (size_t i = 0; i < g.table.columns.size(); i++) by_attnum[g.table.columns[i].attnum - 1] = values[i];
  return bridge::key_text(g.table, by_attnum.data());
}

/// A range on its way: the rows that are still to be written, and whence they came.
struct Range {
  Source rows;
  std::vector<size_t> items;
  std::vector<std::vector<std::string>> keys;  // filled when tombstones are looked up

  void keep(const std::vector<bool> &wanted) {
    Range kept;
    for (size_t i = 0; i < items.size(); i++) {
      if (!wanted[i]) continue;
      kept.items.push_back(items[i]);
      kept.rows.values.push_back(rows.values[i]);
      kept.rows.nulls.push_back(rows.nulls[i]);
      if (!keys.empty()) kept.keys.push_back(keys[i]);
    }
    *this = std::move(kept);
  }
};

Range receive_range(const Group &g, size_t begin, size_t end) {
  Range out;
  size_t n = g.table.columns.size(), count = end - begin;
  out.items.resize(count);
  out.rows.values.resize(count);
  out.rows.nulls.resize(count);
  Receiver receiver(g);
  bridge::pg_call([&] {
    auto *values = static_cast<Datum *>(palloc(sizeof(Datum) * n * count));
    auto *nulls = static_cast<bool *>(palloc(sizeof(bool) * n * count));
    for (size_t i = 0; i < count; i++, values += n, nulls += n) {
      receiver.take(g.items[begin + i], values, nulls);
      out.items[i] = begin + i;
      out.rows.values[i] = values;
      out.rows.nulls[i] = nulls;
    }
  });
  return out;
}

/// Versions of the tombstones of the range's keys, under a fresh snapshot; empty if the table has none.
std::vector<Version> tombstones_of(const Group &g, Range &range) {
  std::vector<Version> out;
  if (g.tombstones() || range.items.empty() || !any_tombstone(g.table.name)) return out;
  if (range.keys.empty())
    for (Datum *values : range.rows.values) range.keys.push_back(key_of(g, values));
  for (const auto &key : range.keys) out.push_back(tombstone_now(g.table.name, key));
  return out;
}

void leave_out_ended(const Group &g, Range &range, Outcome &out) {
  std::vector<Version> deleted = tombstones_of(g, range);
  if (deleted.empty()) return;
  std::vector<bool> wanted;
  for (size_t i = 0; i < deleted.size(); i++) wanted.push_back(!ends(deleted[i], g.items[range.items[i]].rank.version));
  size_t before = range.items.size();
  range.keep(wanted);
  out.stale += static_cast<uint32_t>(before - range.items.size());
}

/// Versions that the rows of the range have here, by position in the range, as `sql` finds them; 0: not found.
std::vector<Version> versions_by(const Group &g, const Range &range, const std::string &sql) {
  std::vector<Version> out(range.items.size(), 0);
  if (sql.empty()) return out;
  bridge::Spi spi;
  UserScope owner(g.table.owner, true);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  SourceScope scope(range.rows);
  bridge::Rows rows = spi.query_kept(sql);
  for (size_t i = 0; i < rows.size(); i++) out[static_cast<size_t>(rows.int8(i, 0))] = rows.int8(i, 1);
  return out;
}

/// Rows that are older than the tombstone horizon may only replace rows: their tombstone may have been collected.
void set_too_old_aside(const Group &g, Range &range, Outcome &out) {
  Version horizon = tombstone_horizon();
  bool any = false;
  for (size_t i : range.items) any = any || g.items[i].rank.version <= horizon;
  if (!any) return;
  std::vector<Version> here = versions_by(g, range, versions_sql(g));
  std::vector<bool> wanted;
  for (size_t i = 0; i < range.items.size(); i++) {
    bool old = too_old(g.items[range.items[i]].rank.version, here[i], horizon);
    wanted.push_back(!old);
    if (old) out.set_aside.push_back({range.items[i], "too_old", "older than the tombstones kept here"});
  }
  range.keep(wanted);
}

uint64_t upsert(const Group &g, const Range &range) {
  bridge::Spi spi;
  std::string sql = upsert_sql(g);
  UserScope owner(g.table.owner, true);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  bridge::HiddenScope hidden;
  SourceScope scope(range.rows);
  return spi.execute(sql);
}

void find_beaten(const Group &g, const Range &range, Outcome &out) {
  std::vector<Version> here = versions_by(g, range, differing_sql(g));
  for (size_t i = 0; i < range.items.size(); i++)
    if (here[i] > g.items[range.items[i]].rank.version) out.beaten.push_back({range.items[i], here[i]});
}

/// A delete may have been open while the rows were written: look again.
void remove_what_ended_meanwhile(const Group &g, Range &range, Outcome &out) {
  std::vector<Version> deleted = tombstones_of(g, range);
  bool values_end = !end_sql(g.table).empty();  // also in a row that is newer than its tombstone
  for (size_t i = 0; i < deleted.size(); i++) {
    if (!ends(deleted[i], g.items[range.items[i]].rank.version) && !(values_end && deleted[i] > 0)) continue;
    uint64_t removed = remove_ended(g.table, range.keys[i], deleted[i]);
    out.stale += static_cast<uint32_t>(removed);
    out.applied -= static_cast<uint32_t>(std::min<uint64_t>(removed, out.applied));
  }
}

}  // namespace

Outcome write_rows(const Group &g, size_t begin, size_t end, const WriteOptions &options) {
  Outcome out;
  MemoryScope memory;
  Range range = receive_range(g, begin, end);
  leave_out_ended(g, range, out);
  if (options.refuse_too_old) set_too_old_aside(g, range, out);
  if (range.items.empty()) return out;
  bool inserted = options.insert_together && insert_absent(g, range.rows.values, range.rows.nulls);
  uint64_t written = inserted ? range.items.size() : upsert(g, range);
  out.applied = static_cast<uint32_t>(written);
  out.stale += static_cast<uint32_t>(range.items.size() - written);
  if (options.find_beaten && written < range.items.size()) find_beaten(g, range, out);
  remove_what_ended_meanwhile(g, range, out);
  return out;
}

uint64_t remove_ended(const bridge::EnrolledTable &table, const std::vector<std::string> &key, Version deleted) {
  if (key.size() != table.key.size()) return 0;
  bridge::Spi spi;
  std::string sql = remove_sql(table);
  UserScope owner(table.owner, true);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  bridge::HiddenScope hidden;
  std::vector<bridge::Param> params{bridge::p_text_array(key), bridge::p_int8(deleted)};
  uint64_t removed = spi.execute(sql, params);
  if (std::string end = end_sql(table); removed == 0 && !end.empty()) spi.execute(end, params);
  return removed;
}

std::vector<std::string> item_key(const Group &group, const Item &item) {
  MemoryScope memory;
  std::vector<Datum> values(group.table.columns.size());
  std::unique_ptr<bool[]> nulls(new bool[group.table.columns.size()]);
  Receiver receiver(group);
  bridge::pg_call([&] { receiver.take(item, values.data(), nulls.get()); });
  return key_of(group, values.data());
}

VECTORSHARD_FUNCTION(vectorshard_batch_rows) {
  return bridge::entry([&]() -> Datum {
    if (!source)
      bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "no batch is being merged", {},
                             "vectorshard.batch_rows() is called by vectorshard.apply() alone.");
    const Source &rows = *source;
    bridge::pg_call([&] {
      InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
      auto *result = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
      for (size_t i = 0; i < rows.values.size(); i++)
        tuplestore_putvalues(result->setResult, result->setDesc, rows.values[i], rows.nulls[i]);
    });
    return PointerGetDatum(nullptr);
  });
}

}  // namespace vectorshard::apply
