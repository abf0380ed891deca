// Local writes of values that merge: see written_values.hpp.
#include "pg/apply/written_values.hpp"

#include "pg/apply/types_value.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/merging_types.hpp"
extern "C" {
#include "utils/datum.h"
}

namespace vectorshard::apply {

namespace {

[[noreturn]] void refuse_null(const bridge::EnrolledTable &table, const std::string &column) {
  bridge::raise_sqlstate(ERRCODE_NOT_NULL_VIOLATION,
                         "null value in column \"" + column + "\" of table " + table.name + ", whose values merge",
                         "A null would give way to whatever other nodes have.", "Write a value, or delete the row.");
}

}  // namespace

WrittenValues::WrittenValues(const bridge::EnrolledTable &table, RowValues now) {
  for (const bridge::EnrolledColumn &c : table.columns) {
    if (!bridge::merging_kind(c.type)) continue;
    if (now.nulls[c.attnum - 1]) refuse_null(table, c.name);
    writes_.push_back({c.attnum, CrdtWrite::assign, 0, {}, crdt_of(now.values[c.attnum - 1])});
    births_ = true;
  }
}

WrittenValues::WrittenValues(const bridge::EnrolledTable &table, RowValues was, RowValues now, bool reborn) {
  for (const bridge::EnrolledColumn &c : table.columns) {
    if (!bridge::merging_kind(c.type)) continue;
    int i = c.attnum - 1;
    if (now.nulls[i] && was.nulls[i]) continue;  // added to the table, not written yet
    if (now.nulls[i]) refuse_null(table, c.name);
    bool same = !was.nulls[i] && bridge::pg_call([&] { return datum_image_eq(was.values[i], now.values[i], false, -1); });
    if (same && !reborn) continue;
    Write w{c.attnum, CrdtWrite::assign, was.values[i], {}, crdt_of(now.values[i])};
    if (!was.nulls[i] && !reborn) {
      w.was = crdt_of(was.values[i]);
      w.kind = in_range(classify(w.was, w.now));
    }
    births_ |= w.kind == CrdtWrite::assign;
    grows_ |= w.kind == CrdtWrite::grow;
    writes_.push_back(std::move(w));
  }
}

void WrittenValues::replace(Version birth, const EntryKey &entry, std::vector<int> *columns,
                            std::vector<Datum> *values) const {
  for (const Write &w : writes_) {
    columns->push_back(w.column);
    if (w.kind == CrdtWrite::same)
      values->push_back(w.stored);
    else if (w.kind == CrdtWrite::grow)
      values->push_back(datum_of(in_range(grown(w.was, w.now, entry))));
    else
      values->push_back(datum_of(in_range(born(w.now, birth))));
  }
}

bool merges(const bridge::EnrolledTable &table, AttrNumber column) {
  for (const bridge::EnrolledColumn &c : table.columns)
    if (c.attnum == column) return bridge::merging_kind(c.type).has_value();
  return false;
}

}  // namespace vectorshard::apply
