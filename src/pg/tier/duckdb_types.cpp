// Cells and vectors: see duckdb_types.hpp.
#include "pg/tier/duckdb_types.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "mb/pg_wchar.h"
}

namespace vectorshard::tier::duck {

namespace {

constexpr int64_t kEpochShiftDays = 10957;             // 1970-01-01 to 2000-01-01
constexpr int64_t kEpochShiftUs = 946684800000000;

duckdb_type logical_type(CellKind kind) {
  switch (kind) {
    case CellKind::boolean: return DUCKDB_TYPE_BOOLEAN;
    case CellKind::int2: return DUCKDB_TYPE_SMALLINT;
    case CellKind::int4: return DUCKDB_TYPE_INTEGER;
    case CellKind::int8: return DUCKDB_TYPE_BIGINT;
    case CellKind::float4: return DUCKDB_TYPE_FLOAT;
    case CellKind::float8: return DUCKDB_TYPE_DOUBLE;
    case CellKind::date: return DUCKDB_TYPE_DATE;
    case CellKind::timestamp: return DUCKDB_TYPE_TIMESTAMP;
    case CellKind::timestamptz: return DUCKDB_TYPE_TIMESTAMP_TZ;
    case CellKind::text:
    case CellKind::output: return text_as_blob() ? DUCKDB_TYPE_BLOB : DUCKDB_TYPE_VARCHAR;
    case CellKind::bytes:
    case CellKind::send: return DUCKDB_TYPE_BLOB;
  }
  return DUCKDB_TYPE_BLOB;
}

/// `value` moved by `shift`; `low` and `high` are PostgreSQL's infinities, DuckDB's are -high and high.
int64_t shifted(int64_t value, int64_t shift, int64_t low, int64_t high, const std::string &column) {
  if (value == low) return -high;
  if (value == high) return high;
  int64_t moved;
  if (__builtin_add_overflow(value, shift, &moved) || moved >= high || moved <= -high)
    bridge::raise_sqlstate(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE,
                           "a date or time of column \"" + column + "\" is too far away to be stored in a segment", "",
                           "Rows with such values stay in the heap.");
  return moved;
}

int64_t unshifted(int64_t value, int64_t shift, int64_t low, int64_t high) {
  if (value == -high) return low;
  if (value == high) return high;
  return value - shift;
}

template <class T>
void set(duckdb_vector vector, idx_t row, int64_t number) {
  static_cast<T *>(api().vector_get_data(vector))[row] = static_cast<T>(number);
}
template <class T>
int64_t get(const Column &column, idx_t row) {
  return static_cast<const T *>(column.data)[row];
}

}  // namespace

bool text_as_blob() { return GetDatabaseEncoding() != PG_UTF8; }

void add_result_column(duckdb_bind_info info, const std::string &name, CellKind kind) {
  duckdb_logical_type type = api().create_logical_type(logical_type(kind));
  api().bind_add_result_column(info, name.c_str(), type);
  api().destroy_logical_type(&type);
}

void put_cell(duckdb_vector vector, idx_t row, const ManifestColumn &column, const Cell &cell) {
  if (cell.null) {
    api().vector_ensure_validity_writable(vector);
    api().validity_set_row_invalid(api().vector_get_validity(vector), row);
    return;
  }
  switch (column.kind) {
    case CellKind::boolean: return set<uint8_t>(vector, row, cell.number);
    case CellKind::int2: return set<int16_t>(vector, row, cell.number);
    case CellKind::int4:
    case CellKind::float4: return set<int32_t>(vector, row, cell.number);
    case CellKind::int8:
    case CellKind::float8: return set<int64_t>(vector, row, cell.number);
    case CellKind::date:
      return set<int32_t>(vector, row, shifted(cell.number, kEpochShiftDays, INT32_MIN, INT32_MAX, column.name));
    case CellKind::timestamp:
    case CellKind::timestamptz:
      return set<int64_t>(vector, row, shifted(cell.number, kEpochShiftUs, INT64_MIN, INT64_MAX, column.name));
    case CellKind::text:
    case CellKind::bytes:
    case CellKind::output:
    case CellKind::send: api().vector_assign_string_element_len(vector, row, cell.bytes.data(), cell.bytes.size());
  }
}

Cell get_cell(const Column &column, idx_t row, CellKind kind) {
  Cell cell;
  if (!column.valid(row)) return cell;
  cell.null = false;
  switch (kind) {
    case CellKind::boolean: cell.number = get<uint8_t>(column, row); break;
    case CellKind::int2: cell.number = get<int16_t>(column, row); break;
    case CellKind::int4:
    case CellKind::float4: cell.number = get<int32_t>(column, row); break;
    case CellKind::int8:
    case CellKind::float8: cell.number = get<int64_t>(column, row); break;
    case CellKind::date:
      cell.number = unshifted(get<int32_t>(column, row), kEpochShiftDays, INT32_MIN, INT32_MAX);
      break;
    case CellKind::timestamp:
    case CellKind::timestamptz:
      cell.number = unshifted(get<int64_t>(column, row), kEpochShiftUs, INT64_MIN, INT64_MAX);
      break;
    default: cell.bytes = string_at(column, row);
  }
  return cell;
}

}  // namespace vectorshard::tier::duck
