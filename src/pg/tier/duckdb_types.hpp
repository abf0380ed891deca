// Cells in DuckDB's vectors: which logical type a kind is, and moving one cell in or out. Dates and times shift between
// PostgreSQL's epoch (2000) and DuckDB's (1970); infinities map to infinities.
#pragma once
#include <string>

#include "core/tier/types.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier::duck {

void add_result_column(duckdb_bind_info info, const std::string &name, CellKind kind);
/// Raises if a date or time is too far away for the format.
void put_cell(duckdb_vector vector, idx_t row, const ManifestColumn &column, const Cell &cell);
Cell get_cell(const Column &column, idx_t row, CellKind kind);
/// True if strings of text columns lie as blobs (a server encoding other than UTF-8).
bool text_as_blob();

}  // namespace vectorshard::tier::duck
