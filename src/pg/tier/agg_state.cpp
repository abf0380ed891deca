// States of aggregates: see agg_state.hpp. The forms are those of int8_avg_serialize() and numeric_avg_serialize() in PostgreSQL's
// src/backend/utils/adt/numeric.c, versions 15 to 18; states_are_known() (segment_query.hpp) compares them with the server's own.
#include "pg/tier/agg_state.hpp"

extern "C" {
#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
}

namespace vectorshard::tier {

namespace {

/// As text, with `scale` digits behind the point.
char *digits_of(__int128 value, int scale) {
  char reversed[64];
  int n = 0;
  bool negative = value < 0;
  auto left = negative ? static_cast<unsigned __int128>(0) - static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  do {
    if (n == scale && scale > 0) reversed[n++] = '.';
    reversed[n++] = static_cast<char>('0' + static_cast<int>(left % 10));
    left /= 10;
  } while (left != 0 || n <= scale);
  if (negative) reversed[n++] = '-';
  char *out = static_cast<char *>(palloc(static_cast<size_t>(n) + 1));
  for (int i = 0; i < n; i++) out[i] = reversed[n - 1 - i];
  out[n] = 0;
  return out;
}

/// What numericvar_serialize() writes, from what numeric_send() does: the same fields, wider.
void put_variable(StringInfo out, __int128 value, int scale) {
  Datum number = DirectFunctionCall3(numeric_in, CStringGetDatum(digits_of(value, scale)), ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
  bytea *sent = DatumGetByteaP(DirectFunctionCall1(numeric_send, number));
  StringInfoData in;
  initStringInfo(&in);
  appendBinaryStringInfo(&in, VARDATA(sent), static_cast<int>(VARSIZE(sent) - VARHDRSZ));
  auto count = static_cast<int>(pq_getmsgint(&in, 2));
  pq_sendint32(out, static_cast<uint32>(count));
  pq_sendint32(out, static_cast<uint32>(static_cast<int16>(pq_getmsgint(&in, 2))));  // weight
  pq_sendint32(out, pq_getmsgint(&in, 2));                                           // sign
  pq_sendint32(out, pq_getmsgint(&in, 2));                                           // scale
  for (int i = 0; i < count; i++) pq_sendint16(out, static_cast<uint16>(pq_getmsgint(&in, 2)));
}

}  // namespace

Datum int8_state(int64_t n, __int128 sum) {
  StringInfoData out;
  pq_begintypsend(&out);
  pq_sendint64(&out, static_cast<uint64>(n));
  put_variable(&out, sum, 0);
  return PointerGetDatum(pq_endtypsend(&out));
}

Datum numeric_state(int64_t n, __int128 sum, int scale) {
  StringInfoData out;
  pq_begintypsend(&out);
  pq_sendint64(&out, static_cast<uint64>(n));
  put_variable(&out, sum, scale);
  pq_sendint32(&out, static_cast<uint32>(scale));                     // the greatest scale
  pq_sendint64(&out, static_cast<uint64>(n));                         // how many values have it
  for (int i = 0; i < 3; i++) pq_sendint64(&out, 0);                  // NaN, infinity, -infinity
  return PointerGetDatum(pq_endtypsend(&out));
}

Datum small_average_state(int64_t n, int64_t sum) {
  Datum values[2] = {Int64GetDatum(n), Int64GetDatum(sum)};
  return PointerGetDatum(construct_array(values, 2, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

}  // namespace vectorshard::tier
