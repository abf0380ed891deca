// What a local write does to the columns of a row whose values merge: decides what each means, and makes what is stored.
// For the row trigger alone; apply merges states as they come.
#pragma once
#include <string>
#include <vector>

#include "core/apply/crdt.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/bridge/tables.hpp"

namespace vectorshard::apply {

/// Values by attribute number less one, as heap_deform_tuple gives them.
struct RowValues {
  const Datum *values = nullptr;
  const bool *nulls = nullptr;
};

class WrittenValues {
 public:
  /// An INSERT: every value is born. Raises for nulls.
  WrittenValues(const bridge::EnrolledTable &table, RowValues now);
  /// An UPDATE. `reborn`: its key changes, so its values are those of another row. Raises where a value becomes null.
  WrittenValues(const bridge::EnrolledTable &table, RowValues was, RowValues now, bool reborn);

  /// Whether the row has a new birth, and so needs a new version.
  bool births() const { return births_; }
  /// Whether entries are needed.
  bool grows() const { return grows_; }
  bool empty() const { return writes_.empty(); }

  /// The columns to replace and what with, in the current memory context.
  void replace(Version birth, const EntryKey &entry, std::vector<int> *columns, std::vector<Datum> *values) const;

 private:
  struct Write {
    AttrNumber column = 0;
    CrdtWrite kind = CrdtWrite::same;
    Datum stored = 0;  // of CrdtWrite::same: what stays
    Crdt was, now;
  };
  std::vector<Write> writes_;
  bool births_ = false, grows_ = false;
};

/// Whether a column's values merge.
bool merges(const bridge::EnrolledTable &table, AttrNumber column);

}  // namespace vectorshard::apply
