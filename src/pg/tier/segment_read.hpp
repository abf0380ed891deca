// Reading a segment's rows: as cells (to verify), or as tuples of a relation whose columns may have changed since.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/tier/digest.hpp"
#include "core/tier/types.hpp"
#include "pg/tier/cells.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier {

/// A segment as the manifest describes it.
struct Segment {
  std::string name, store, key, table, sha256;
  int64_t bytes = 0, rows = 0;
  std::vector<ManifestColumn> columns;
};

/// Which rows, of which columns.
struct ReadFilter {
  std::string client_column;         // with `clients`: only their rows
  std::vector<std::string> clients;  // empty: all rows
  std::vector<bool> wanted;          // per manifest column; empty: all
};

/// The rows of a local Parquet file as blocks of cells.
class SegmentReader {
 public:
  SegmentReader(const std::string &path, const std::vector<ManifestColumn> &columns, ReadFilter filter);
  /// The next rows, at most kBlockRows, as cells in row order; 0 at the end. Cells live until the next call; columns that are not
  /// wanted are null.
  size_t next();
  const Cell *cells() const { return cells_.data(); }

  static constexpr size_t kBlockRows = 256;

 private:
  bool next_chunk();
  size_t keep_clients(size_t rows);

  std::vector<ManifestColumn> columns_;
  ReadFilter filter_;
  std::set<std::string, std::less<>> clients_;
  int client_at_ = -1;
  std::vector<int> field_of_;  // manifest column -> column of the result, -1: not wanted
  std::unique_ptr<duck::Stream> stream_;
  std::vector<duck::Column> vectors_;
  std::vector<Cell> cells_;
  idx_t row_ = 0, rows_ = 0;
};

/// Turns cells of a segment into the values of a relation's columns: by name, a renamed column by its number, a column
/// that came later gets its default of that time or null, a column whose type changed is converted by its text.
class RowMapper {
 public:
  /// `foreign`: of a file of others, whose kinds the table's types do not tell.
  RowMapper(const std::vector<ManifestColumn> &columns, TupleDesc target, bool foreign = false);
  /// Fills `n` rows of values and isnull (target->natts each) in the current memory context. May not be called inside pg_call.
  void fill(const Cell *cells, size_t n, Datum *values, bool *isnull);
  /// The same of one attribute (from 1); values and nulls are `stride` apart.
  void fill_attribute(int attribute, const Cell *cells, size_t n, Datum *values, bool *isnull, size_t stride);
  /// True if the attribute's values lie in the segment just as they are.
  bool is_plain(int attribute) const;
  /// Which manifest columns are of use for the target.
  std::vector<bool> used() const;

 private:
  struct Mapped {
    int from = -1;  // manifest column
    ColumnCodec codec;
    int32 typmod = -1;
    bool convert = false;  // the type changed: text of the old, input of the new
    bool rescaled = false;  // a numeric of another scale now
    FmgrInfo output{}, input{};
    Oid io_param = InvalidOid;
  };
  Mapped map_column(const std::vector<ManifestColumn> &columns, int from, Form_pg_attribute attribute, bool foreign);
  Datum value_of(Mapped &m, const Cell &cell) const;

  TupleDesc target_;
  std::vector<Mapped> mapped_;  // per target attribute
  size_t width_ = 0;
  bool needs_settings_ = false;
};

/// Re-reads a file in full, through the same conversions that queries use, and gives its digest.
/// `relid`: the table it was written from.
RowDigest digest_file(const std::string &path, const std::vector<ManifestColumn> &columns, Oid relid);

}  // namespace vectorshard::tier
