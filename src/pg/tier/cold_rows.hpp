// What gives rows that lie in segments, one by one.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/tuptable.h"
}

namespace vectorshard::tier {

/// Scans rows that lie in segments into slots. Destroy it before the transaction ends; cancel works between chunks.
class ColdScan {
 public:
  virtual ~ColdScan() = default;
  /// Stores the next row as a virtual tuple (all columns of the relation, missing ones null) or returns false.
  /// Datums live until the next call.
  virtual bool next(TupleTableSlot *slot) = 0;
  /// For EXPLAIN ANALYZE: segments read.
  virtual int segments_read() const = 0;
  /// True if no file was read, as the rows are known by their keys (key_index.hpp).
  virtual bool remembered() const { return false; }
  /// Of objects in stores elsewhere, in parts.
  virtual int64_t bytes_fetched() const { return 0; }
};

}  // namespace vectorshard::tier
