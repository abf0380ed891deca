// Columns of DuckDB's chunks as Datums, many values at a time, without a step between. Plain C inside: for pg_call.
#pragma once
#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier {

/// Of a kind that is not opaque: rows from `at` on into values and nulls that are `stride` apart. Strings and numbers are made in the current memory context.
void decode_column(const duck::Column &from, idx_t at, size_t n, CellKind kind, int precision, int scale, Datum *values, bool *nulls, size_t stride);

}  // namespace vectorshard::tier
