// Values that come from Parquet files of others: what PostgreSQL cannot have is an error, never another value.
#pragma once
#include "core/tier/types.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier {

/// Raises if a date or time of `n` rows is none of PostgreSQL's, or a text has a zero byte.
void require_fits(const duck::Column &from, idx_t at, size_t n, const ManifestColumn &column);
/// Texts of kind output, which are UTF-8, in the server's encoding, in the current memory context. Raises.
void to_server_text(Cell *cells, size_t n, const ManifestColumn &column);

}  // namespace vectorshard::tier
