// Cells in DuckDB's vectors: which logical type a kind is, and moving a column of cells in or out. Dates and times shift between
// PostgreSQL's epoch (2000) and DuckDB's (1970); infinities map to infinities.
#pragma once
#include <string>

#include "core/tier/types.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier::duck {

void add_result_column(duckdb_bind_info info, const std::string &name, const ManifestColumn &column);
/// Moves `n` cells, `stride` apart, into rows from `at` on. Raises if a date or time is too far away for the format.
void put_cells(duckdb_vector vector, idx_t at, const ManifestColumn &column, const Cell *cells, size_t stride, size_t n);
/// Moves `n` rows from `at` on into cells `stride` apart. Strings stay where they are.
void get_cells(const Column &from, idx_t at, const ManifestColumn &column, Cell *cells, size_t stride, size_t n);
/// A date of DuckDB (days since 1970) as PostgreSQL's (since 2000); the same of microseconds.
int64_t date_of(int32_t days);
int64_t timestamp_of(int64_t us);
/// The bytes of a decimal's integer in DuckDB's vectors.
int decimal_bytes(int precision);
/// True if strings of text columns lie as blobs (a server encoding other than UTF-8).
bool text_as_blob();

}  // namespace vectorshard::tier::duck
