// Decoding columns: see row_decode.hpp.
#include "pg/tier/row_decode.hpp"

#include "pg/tier/decimal.hpp"
#include "pg/tier/duckdb_types.hpp"
extern "C" {
#include "utils/date.h"
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

namespace {

/// Where values go.
struct Target {
  Datum *values;
  const bool *nulls;
  size_t stride, n;

  template <class T, class F>
  void each(const void *data, idx_t at, F &&datum) const {
    const T *in = static_cast<const T *>(data) + at;
    for (size_t i = 0; i < n; i++)
      if (!nulls[i * stride]) values[i * stride] = datum(in[i]);
  }
};

/// All strings of a block in one piece of memory.
void decode_strings(const duck::Column &from, idx_t at, const Target &to) {
  const auto *strings = static_cast<const duckdb_string_t *>(from.data) + at;
  size_t bytes = 0;
  for (size_t i = 0; i < to.n; i++)
    if (!to.nulls[i * to.stride]) bytes += INTALIGN(VARHDRSZ + strings[i].value.inlined.length);
  if (bytes == 0) return;
  char *memory = static_cast<char *>(MemoryContextAllocHuge(CurrentMemoryContext, bytes));
  for (size_t i = 0; i < to.n; i++) {
    if (to.nulls[i * to.stride]) continue;
    std::string_view s = duck::string_at(from, at + i);
    SET_VARSIZE(memory, VARHDRSZ + s.size());
    memcpy(memory + VARHDRSZ, s.data(), s.size());
    to.values[i * to.stride] = PointerGetDatum(memory);
    memory += INTALIGN(VARHDRSZ + s.size());
  }
}

void decode_decimals(const duck::Column &from, idx_t at, int precision, int scale, const Target &to) {
  char *memory = static_cast<char *>(palloc(kDecimalBytesMax * to.n));
  auto datum = [&](int64_t units) {
    Datum out = PointerGetDatum(memory);
    memory += put_decimal(units, scale, memory);
    return out;
  };
  switch (duck::decimal_bytes(precision)) {
    case 2: return to.each<int16_t>(from.data, at, datum);
    case 4: return to.each<int32_t>(from.data, at, datum);
    default: return to.each<int64_t>(from.data, at, datum);
  }
}

}  // namespace

void decode_column(const duck::Column &from, idx_t at, size_t n, CellKind kind, int precision, int scale, Datum *values, bool *nulls, size_t stride) {
  for (size_t i = 0; i < n; i++) {
    bool null = !from.valid(at + i);
    nulls[i * stride] = null;
    if (null) values[i * stride] = static_cast<Datum>(0);
  }
  Target to{values, nulls, stride, n};
  switch (kind) {
    case CellKind::boolean: return to.each<uint8_t>(from.data, at, [](uint8_t v) { return BoolGetDatum(v != 0); });
    case CellKind::int2: return to.each<int16_t>(from.data, at, [](int16_t v) { return Int16GetDatum(v); });
    case CellKind::int4: return to.each<int32_t>(from.data, at, [](int32_t v) { return Int32GetDatum(v); });
    case CellKind::int8: return to.each<int64_t>(from.data, at, [](int64_t v) { return Int64GetDatum(v); });
    case CellKind::float4: return to.each<float>(from.data, at, [](float v) { return Float4GetDatum(v); });
    case CellKind::float8: return to.each<double>(from.data, at, [](double v) { return Float8GetDatum(v); });
    case CellKind::date:
      return to.each<int32_t>(from.data, at, [](int32_t v) { return DateADTGetDatum(static_cast<DateADT>(duck::date_of(v))); });
    case CellKind::timestamp:
    case CellKind::timestamptz: return to.each<int64_t>(from.data, at, [](int64_t v) { return TimestampGetDatum(duck::timestamp_of(v)); });
    case CellKind::text:
    case CellKind::bytes: return decode_strings(from, at, to);
    case CellKind::decimal: return decode_decimals(from, at, precision, scale, to);
    default: return;
  }
}

}  // namespace vectorshard::tier
