// Rows for a segment as blocks of cells: of a query, or of a whole heap, which is read without one. Memory is bounded by blocks.
#pragma once
#include <vector>

#include "pg/tier/cells.hpp"
#include "pg/tier/segment_write.hpp"
extern "C" {
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/portal.h"
}

namespace vectorshard::tier {

class RowFeed {
 public:
  /// Opens the source; `columns` are its columns and how they are to be stored. Needs an open SPI connection.
  RowFeed(const RowSource &source, const std::vector<ManifestColumn> &columns);
  /// The next rows, at most kBlockRows, as cells in row order; 0 at the end. Cells live until the next call.
  size_t next();
  const Cell *cells() const { return cells_.data(); }
  /// Of the strings among them.
  int64_t bytes() const { return bytes_; }
  /// At the end; while an error unwinds, the end of the transaction does it.
  void close();

  static constexpr size_t kBlockRows = 256;

 private:
  void open_query(const RowSource &source);
  void open_heap(Oid relid);
  size_t fetch_query();
  size_t fetch_heap();
  int64_t take(size_t row, const Datum *values, const bool *nulls);
  void keep(Cell *cell);

  const std::vector<ManifestColumn> &columns_;
  std::vector<ColumnCodec> codecs_;
  std::vector<Cell> cells_;
  std::vector<int> attributes_;  // of the heap, one a column, from 0
  bool needs_settings_ = false, done_ = false;
  int64_t bytes_ = 0;
  MemoryContext context_ = nullptr;
  // A query.
  Portal portal_ = nullptr;
  SPITupleTable *batch_ = nullptr;
  // A heap.
  Relation heap_ = nullptr;
  Snapshot snapshot_ = nullptr;
  TableScanDesc scan_ = nullptr;
  TupleTableSlot *slot_ = nullptr;
};

}  // namespace vectorshard::tier
