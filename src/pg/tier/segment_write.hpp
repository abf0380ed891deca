// Writing rows into a Parquet file in the spool directory: streamed from a query, hashed and measured on the way.
// Memory stays bounded by row groups, never by the table.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/tier/digest.hpp"
#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// What to write: the rows of `sql`, whose columns are exactly the live columns of `relid`, in attnum order; without it the whole
/// heap of `relid`.
struct RowSource {
  Oid relid = InvalidOid;
  std::string sql;
  std::vector<std::string> clients;  // $1 of the query, text[], when not empty
  std::string client_column;         // rows come sorted by it; empty: no digest per client
  double row_bytes = 0;              // estimated width, for the size of row groups
};

/// A file that holds what the query gave.
struct WrittenFile {
  std::string path;
  int64_t bytes = 0;
  std::string sha256;
  RowDigest content;
  std::vector<std::pair<std::string, RowDigest>> clients;  // in file order
  std::vector<ManifestColumn> columns;
  std::string zones;  // JSON
  std::string blocks; // checksums (core/tier/blocks.hpp)
};

/// Runs the query under the active snapshot and writes its rows to `path`. Needs an open transaction.
/// Raises what PostgreSQL or DuckDB raises; the file is then useless and the caller removes it.
WrittenFile write_file(const RowSource &source, const std::string &path);

}  // namespace vectorshard::tier
