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

/// Where values go. `some_null`: those rows are told by `nulls`.
struct Target {
  Datum *values;
  const bool *nulls;
  size_t stride, n;
  bool some_null;

  template <class T, class F>
  void each(const T *in, F &&datum) const {
    if (some_null) {
      for (size_t i = 0; i < n; i++)
        if (!nulls[i * stride]) values[i * stride] = datum(in[i]);
    } else {
      for (size_t i = 0; i < n; i++) values[i * stride] = datum(in[i]);
    }
  }
  template <class T, class F>
  void each(const void *data, idx_t at, F &&datum) const {
    each(static_cast<const T *>(data) + at, datum);
  }
};

/// Copies up to 32 bytes without a loop or a call; reads nothing beyond them.
void copy_short(char *to, const char *from, size_t n) {
  auto ends = [&]<size_t kSize>(std::integral_constant<size_t, kSize>) {
    char first[kSize], last[kSize];
    memcpy(first, from, kSize);
    memcpy(last, from + n - kSize, kSize);
    memcpy(to, first, kSize);
    memcpy(to + n - kSize, last, kSize);
  };
  if (n > 32) memcpy(to, from, n);
  else if (n >= 16) ends(std::integral_constant<size_t, 16>{});
  else if (n >= 8) ends(std::integral_constant<size_t, 8>{});
  else if (n >= 4) ends(std::integral_constant<size_t, 4>{});
  else
    for (size_t i = 0; i < n; i++) to[i] = from[i];
}

/// All strings of a block in one piece of memory, with a header of one byte where that is enough, as in a heap.
void decode_strings(const duck::Column &from, idx_t at, const Target &to) {
  const auto *strings = static_cast<const duckdb_string_t *>(from.data) + at;
  size_t bytes = 0;
  for (size_t i = 0; i < to.n; i++)
    if (!to.some_null || !to.nulls[i * to.stride]) bytes += INTALIGN(VARHDRSZ + strings[i].value.inlined.length);
  if (bytes == 0) return;
  char *memory = static_cast<char *>(MemoryContextAllocHuge(CurrentMemoryContext, bytes));
  to.each(strings, [&](const duckdb_string_t &s) {
    const std::string_view value = duck::bytes_of(s);
    const size_t length = value.size();
    char *header = memory;
    if (length + VARHDRSZ_SHORT <= VARATT_SHORT_MAX) {
      SET_VARSIZE_SHORT(header, length + VARHDRSZ_SHORT);
      copy_short(header + VARHDRSZ_SHORT, value.data(), length);
      memory += length + VARHDRSZ_SHORT;
    } else {
      // What came before may have left it anywhere; there is room, as each of those took less than was reckoned.
      header = reinterpret_cast<char *>(INTALIGN(reinterpret_cast<uintptr_t>(memory)));
      SET_VARSIZE(header, VARHDRSZ + length);
      memcpy(header + VARHDRSZ, value.data(), length);
      memory = header + INTALIGN(VARHDRSZ + length);
    }
    return PointerGetDatum(header);
  });
}

void decode_decimals(const duck::Column &from, idx_t at, int precision, int scale, const Target &to) {
  char *memory = static_cast<char *>(palloc(kDecimalBytesMax * to.n));
  PutDecimal *put = put_decimal(scale);
  auto datum = [&](int64_t units) {
    Datum out = PointerGetDatum(memory);
    memory += put(units, memory);
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
  bool some_null = false;
  for (size_t i = 0; i < n; i++) {
    bool null = !from.valid(at + i);
    nulls[i * stride] = null;
    some_null |= null;
    if (null) values[i * stride] = static_cast<Datum>(0);
  }
  Target to{values, nulls, stride, n, some_null};
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
