// The SQL functions with which nodes compare what they hold: digests of a client or of a reference table, of the ranges
// of its hashed keys, and the rows of some ranges. Each reads under the snapshot of its statement and changes nothing.
#include "pg/apply/api.hpp"
#include "pg/apply/digest.hpp"
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
}

using namespace vectorshard;

namespace {

constexpr int kRangesMax = 65536;

uint32_t ranges_argument(FunctionCallInfo fcinfo, int n) {
  int ranges = PG_GETARG_INT32(n);
  if (ranges < 1 || ranges > kRangesMax)
    bridge::raise({Errc::invalid_argument, "the number of ranges must be between 1 and " + std::to_string(kRangesMax),
                   "It is " + std::to_string(ranges) + ".", ""});
  return static_cast<uint32_t>(ranges);
}

/// Adds a row to the result of a set-returning function; copies what it is given.
void put_row(FunctionCallInfo fcinfo, Datum *values, bool *nulls) {
  auto *info = reinterpret_cast<ReturnSetInfo *>(fcinfo->resultinfo);
  tuplestore_putvalues(info->setResult, info->setDesc, values, nulls);
}

std::vector<bool> chosen_ranges(FunctionCallInfo fcinfo, int n, uint32_t ranges) {
  std::vector<bool> out(ranges, false);
  for (int32 range : bridge::integers_argument(fcinfo, n))
    if (range >= 0 && static_cast<uint32_t>(range) < ranges) out[static_cast<size_t>(range)] = true;
  return out;
}

}  // namespace

VECTORSHARD_FUNCTION(vectorshard_client_digest) {
  return bridge::entry([&]() -> Datum {
    std::string digest = apply::client_digest(bridge::text_argument(fcinfo, 0));
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(digest.c_str())); });
  });
}

/// (client, table_name, ranges) → rows (range, rows, digest) of the ranges that are not empty.
VECTORSHARD_FUNCTION(vectorshard_range_digests) {
  return bridge::entry([&]() -> Datum {
    std::string client = bridge::text_argument(fcinfo, 0), table = bridge::text_argument(fcinfo, 1);
    std::vector<apply::Digest> digests(ranges_argument(fcinfo, 2));
    auto count = static_cast<uint32_t>(digests.size());
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, 0); });
    apply::hash_rows(client, table, count > 1, [&](const apply::HashedRow &row) {
      digests[count > 1 ? apply::range_of(row.table, row.key, count) : 0].add(row.hash);
    });
    for (uint32_t i = 0; i < count; i++) {
      if (digests[i].rows == 0) continue;
      std::string hex = digests[i].hex();
      bridge::pg_call([&] {
        Datum values[3] = {Int32GetDatum(static_cast<int32>(i)), Int64GetDatum(digests[i].rows),
                           CStringGetTextDatum(hex.c_str())};
        bool nulls[3] = {};
        put_row(fcinfo, values, nulls);
      });
    }
    return static_cast<Datum>(0);
  });
}

/// (client, table_name, ranges, which[], at_most) → rows (table_name, key, version, deleted, digest) of the ranges named.
VECTORSHARD_FUNCTION(vectorshard_range_rows) {
  return bridge::entry([&]() -> Datum {
    std::string client = bridge::text_argument(fcinfo, 0), table = bridge::text_argument(fcinfo, 1);
    uint32_t ranges = ranges_argument(fcinfo, 2);
    std::vector<bool> chosen = chosen_ranges(fcinfo, 3, ranges);
    int64_t left = PG_GETARG_INT32(4);
    bridge::pg_call([&] { InitMaterializedSRF(fcinfo, 0); });
    apply::hash_rows(client, table, true, [&](const apply::HashedRow &row) {
      if (!chosen[apply::range_of(row.table, row.key, ranges)] || left-- <= 0) return;
      std::string hex = apply::hex(row.hash);
      Datum key = bridge::p_text_array(row.key).value;
      bridge::pg_call([&] {
        Datum values[5] = {CStringGetTextDatum(row.table.c_str()), key,
                           Int64GetDatum(row.version), BoolGetDatum(row.tombstone), CStringGetTextDatum(hex.c_str())};
        bool nulls[5] = {};
        put_row(fcinfo, values, nulls);
      });
    });
    return static_cast<Datum>(0);
  });
}

/// (client, table_name, after text[], upto text[]) → "rows digest"
VECTORSHARD_FUNCTION(vectorshard_digest_between) {
  return bridge::entry([&]() -> Datum {
    std::string digest = apply::digest_between(bridge::text_argument(fcinfo, 0), bridge::text_argument(fcinfo, 1),
                                               {bridge::texts_argument(fcinfo, 2), bridge::texts_argument(fcinfo, 3)});
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(digest.c_str())); });
  });
}
