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
    case CellKind::decimal: return DUCKDB_TYPE_DECIMAL;
    case CellKind::bytes:
    case CellKind::wkb:
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

/// A column of one physical type: how a cell's number becomes its value, and back.
struct Numbers {
  const ManifestColumn &column;
  idx_t at;
  size_t stride, n;

  template <class T, class F>
  void put(void *data, const Cell *cells, F &&value) const {
    T *out = static_cast<T *>(data) + at;
    for (size_t i = 0; i < n; i++)
      if (!cells[i * stride].null) out[i] = static_cast<T>(value(cells[i * stride].number));
  }
  template <class T, class F>
  void get(const void *data, Cell *cells, F &&number) const {
    const T *in = static_cast<const T *>(data) + at;
    for (size_t i = 0; i < n; i++)
      if (!cells[i * stride].null) cells[i * stride].number = number(static_cast<int64_t>(in[i]));
  }
};

int64_t same(int64_t number) { return number; }

}  // namespace

int64_t date_of(int32_t days) { return unshifted(days, kEpochShiftDays, INT32_MIN, INT32_MAX); }
int64_t timestamp_of(int64_t us) { return unshifted(us, kEpochShiftUs, INT64_MIN, INT64_MAX); }
int decimal_bytes(int precision) { return precision <= 4 ? 2 : precision <= 9 ? 4 : 8; }

bool text_as_blob() { return GetDatabaseEncoding() != PG_UTF8; }

void add_result_column(duckdb_bind_info info, const std::string &name, const ManifestColumn &column) {
  bool decimal = column.kind == CellKind::decimal;
  duckdb_logical_type type = decimal ? api().create_decimal_type(static_cast<uint8_t>(column.precision), static_cast<uint8_t>(column.scale))
                                     : api().create_logical_type(logical_type(column.kind));
  api().bind_add_result_column(info, name.c_str(), type);
  api().destroy_logical_type(&type);
}

namespace {

void put_nulls(duckdb_vector vector, idx_t at, const Cell *cells, size_t stride, size_t n) {
  uint64_t *validity = nullptr;
  for (size_t i = 0; i < n; i++) {
    if (!cells[i * stride].null) continue;
    if (!validity) {
      api().vector_ensure_validity_writable(vector);
      validity = api().vector_get_validity(vector);
    }
    api().validity_set_row_invalid(validity, at + i);
  }
}

void put_numbers(void *data, const Numbers &to, const Cell *cells) {
  const ManifestColumn &column = to.column;
  switch (column.kind) {
    case CellKind::boolean: return to.put<uint8_t>(data, cells, same);
    case CellKind::int2: return to.put<int16_t>(data, cells, same);
    case CellKind::int4:
    case CellKind::float4: return to.put<int32_t>(data, cells, same);
    case CellKind::date:
      return to.put<int32_t>(data, cells, [&](int64_t v) { return shifted(v, kEpochShiftDays, INT32_MIN, INT32_MAX, column.name); });
    case CellKind::timestamp:
    case CellKind::timestamptz:
      return to.put<int64_t>(data, cells, [&](int64_t v) { return shifted(v, kEpochShiftUs, INT64_MIN, INT64_MAX, column.name); });
    case CellKind::decimal:
      if (decimal_bytes(column.precision) == 2) return to.put<int16_t>(data, cells, same);
      if (decimal_bytes(column.precision) == 4) return to.put<int32_t>(data, cells, same);
      return to.put<int64_t>(data, cells, same);
    default: return to.put<int64_t>(data, cells, same);
  }
}

void get_numbers(const void *data, const Numbers &from, Cell *cells) {
  switch (from.column.kind) {
    case CellKind::boolean: return from.get<uint8_t>(data, cells, same);
    case CellKind::int2: return from.get<int16_t>(data, cells, same);
    case CellKind::int4:
    case CellKind::float4: return from.get<int32_t>(data, cells, same);
    case CellKind::date:
      return from.get<int32_t>(data, cells, [](int64_t v) { return unshifted(v, kEpochShiftDays, INT32_MIN, INT32_MAX); });
    case CellKind::timestamp:
    case CellKind::timestamptz:
      return from.get<int64_t>(data, cells, [](int64_t v) { return unshifted(v, kEpochShiftUs, INT64_MIN, INT64_MAX); });
    case CellKind::decimal:
      if (decimal_bytes(from.column.precision) == 2) return from.get<int16_t>(data, cells, same);
      if (decimal_bytes(from.column.precision) == 4) return from.get<int32_t>(data, cells, same);
      return from.get<int64_t>(data, cells, same);
    default: return from.get<int64_t>(data, cells, same);
  }
}

}  // namespace

void put_cells(duckdb_vector vector, idx_t at, const ManifestColumn &column, const Cell *cells, size_t stride, size_t n) {
  put_nulls(vector, at, cells, stride, n);
  if (!is_string(column.kind)) return put_numbers(api().vector_get_data(vector), {column, at, stride, n}, cells);
  for (size_t i = 0; i < n; i++)
    if (const Cell &c = cells[i * stride]; !c.null)
      api().vector_assign_string_element_len(vector, at + i, c.bytes.data(), c.bytes.size());
}

void get_cells(const Column &from, idx_t at, const ManifestColumn &column, Cell *cells, size_t stride, size_t n) {
  for (size_t i = 0; i < n; i++) cells[i * stride].null = !from.valid(at + i);
  if (!is_string(column.kind)) return get_numbers(from.data, {column, at, stride, n}, cells);
  for (size_t i = 0; i < n; i++)
    if (Cell &c = cells[i * stride]; !c.null) {
      c.bytes = string_at(from, at + i);
      c.number = column.srid;
    }
}

}  // namespace vectorshard::tier::duck
