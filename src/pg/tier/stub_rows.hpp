// The rows of a stub: a partition whose rows lie in a segment while it stays attached, with the table access method
// vectorshard_cold. Rows are numbered in the order of the segment; the number is the row's TID. Never writes.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "pg/tier/api.hpp"
extern "C" {
#include "storage/itemptr.h"
#include "utils/relcache.h"
}

namespace vectorshard::tier {

/// The segment of a stub, as the catalog is now; none: the relation is no stub of a moved partition.
std::optional<std::string> stub_segment(Oid relid);
/// As above; raises if there is none: no rows is never the answer.
std::string require_stub_segment(Oid relid);

/// Opens the rows of a stub from number `first` (from 1) on, in all columns. Scans with conditions are read/partition_rows.
std::unique_ptr<ColdScan> open_stub(Oid relid, uint64_t first = 1);

/// Between row numbers, from 1 on, and TIDs.
ItemPointerData stub_tid(uint64_t row);
uint64_t stub_row(const ItemPointerData &tid);
constexpr uint64_t kStubRowsPerBlock = 200;

/// A position among the rows of a stub. Lives in memory of its own until it is destroyed.
class StubRows {
 public:
  explicit StubRows(Relation rel);
  ~StubRows();
  StubRows(const StubRows &) = delete;
  StubRows &operator=(const StubRows &) = delete;

  /// Puts row `number` into the slot, which must have the columns of the relation; false if there is none. Going back, or far on, costs a question to
  /// the segment. Datums live until the next call.
  bool row(uint64_t number, TupleTableSlot *slot);
  void rewind() { seek(1); }

  /// Puts the row of a TID into the slot, which then has a copy of its own: from an open scan that stands there, else read anew.
  static bool fetch(Relation rel, const ItemPointerData &tid, TupleTableSlot *slot);
  /// The same, but read only when one of its columns is wanted, if the slot is one of stubs (stub_slot.cpp).
  static bool promise(Relation rel, const ItemPointerData &tid, TupleTableSlot *slot);

 private:
  void seek(uint64_t number);
  bool next();
  void store(TupleTableSlot *slot);

  Oid relid_;
  MemoryContext context_ = nullptr;
  TupleTableSlot *current_ = nullptr;
  std::unique_ptr<ColdScan> scan_;
  uint64_t at_ = 0;         // the row that was read last, or that before the first one to read
  bool standing_ = false;   // it is in current_
  bool ended_ = false;      // there is none after it
};

/// Ties the rows to a memory context, and destroys them with it.
struct StubRowsHolder {
  StubRows *rows = nullptr;
  MemoryContextCallback callback{};
};
/// Inside pg_call no C++ object may be made: call outside. The holder must live in `context`.
void hold_stub_rows(StubRowsHolder *holder, Relation rel, MemoryContext context);
void release_stub_rows(StubRowsHolder *holder);

}  // namespace vectorshard::tier
