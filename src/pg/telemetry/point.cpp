// Reading a PostGIS point: see point.hpp. A geography has the representation of a geometry, so the same functions read
// it.
#include "pg/telemetry/point.hpp"

#include <cmath>
#include <optional>

#include "core/telemetry/types.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace vectorshard::telemetry {

namespace {

constexpr int kSrid = 4326;

/// What is known of a type: the functions of PostGIS, looked up in the schema where it lies, and whether its bytes are
/// what plain_point() thinks: told by the first such point of the session, which both read.
struct Functions {
  Oid type = InvalidOid;
  enum { kUntried, kAsThought, kOtherwise } bytes = kUntried;
  FmgrInfo kind, srid, x, y, transform;
};

// PostGIS 2 and 3 write a point of two dimensions without a box so: three bytes of SRID, one of flags (geodetic, or of
// the second version), the type and the number of points as uint32, and two doubles.
constexpr uint8_t kFlagsOfPlain = 0x08 | 0x40;
constexpr size_t kPlainBytes = 4 + 4 + 4 + 8 + 8;

/// The point in the value's bytes; nothing if they are any other value, or not at hand.
std::optional<LonLat> plain_point(Datum value) {
  const auto *whole = reinterpret_cast<const varattrib_1b *>(DatumGetPointer(value));
  if (VARATT_IS_EXTERNAL(whole) || VARATT_IS_COMPRESSED(whole) || VARSIZE_ANY_EXHDR(whole) != kPlainBytes) return std::nullopt;
  const auto *bytes = reinterpret_cast<const uint8_t *>(VARDATA_ANY(whole));
  uint32_t kind[2];
  double at[2];
  memcpy(kind, bytes + 4, sizeof kind);
  memcpy(at, bytes + 12, sizeof at);
  bool plain = (bytes[0] << 16 | bytes[1] << 8 | bytes[2]) == kSrid && (bytes[3] & ~kFlagsOfPlain) == 0 && kind[0] == 1 && kind[1] == 1;
  if (!plain) return std::nullopt;
  return LonLat{at[0], at[1]};
}

bool same_bits(const LonLat &a, const LonLat &b) { return memcmp(&a, &b, sizeof a) == 0; }

void look_up(Functions &f, Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "type %u does not exist", type);
  Oid schema = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace;
  ReleaseSysCache(tuple);
  Oid geometry = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("geometry"), ObjectIdGetDatum(schema));
  Oid arguments[] = {geometry, INT4OID};
  auto bind = [&](const char *name, FmgrInfo *info, int count = 1) {
    List *qualified = list_make2(makeString(get_namespace_name(schema)), makeString(pstrdup(name)));
    fmgr_info_cxt(LookupFuncName(qualified, count, arguments, false), info, TopMemoryContext);
  };
  bind("geometrytype", &f.kind);
  bind("st_srid", &f.srid);
  bind("st_x", &f.x);
  bind("st_y", &f.y);
  bind("st_transform", &f.transform, 2);
  f.bytes = Functions::kUntried;
  f.type = type;
}

/// Calls a strict function of one argument; false: it gave null.
bool call(FmgrInfo *function, Datum argument, Datum *result) {
  LOCAL_FCINFO(fcinfo, 1);
  InitFunctionCallInfoData(*fcinfo, function, 1, DEFAULT_COLLATION_OID, nullptr, nullptr);
  fcinfo->args[0].value = argument;
  fcinfo->args[0].isnull = false;
  *result = FunctionCallInvoke(fcinfo);
  return !fcinfo->isnull;
}

Error not_a_point(const std::string &detail) {
  return Error{Errc::invalid_argument, "position of the report is not a point in longitude and latitude", detail,
               "Give ST_SetSRID(ST_MakePoint(longitude, latitude), 4326)."};
}

/// A position without an SRID: metres east and north of the origin of the plane.
Result<LonLat> from_plane(const LonLat &metres) {
  double lon = bridge::guc::plane_origin_lon, lat = bridge::guc::plane_origin_lat;
  if (std::isnan(lon))
    return Error{Errc::invalid_argument, "position of the report is not a point in longitude and latitude", "It has no SRID.",
                 "Give ST_SetSRID(ST_MakePoint(longitude, latitude), 4326), or set vectorshard.plane_origin if it is in metres of a local plane."};
  return LonLat{lon + metres.lon / (kMetresPerDegree * std::cos(radians(lat))), lat + metres.lat / kMetresPerDegree};
}

/// A position of any other SRID. PostGIS raises where that is not known, or the point outside of where it is defined.
Result<LonLat> transformed(Functions &f, Datum value, int srid) {
  try {
    bridge::Subtransaction tx;
    LonLat at = bridge::pg_call([&] {
      LonLat out;
      Datum there, d;
      LOCAL_FCINFO(fcinfo, 2);
      InitFunctionCallInfoData(*fcinfo, &f.transform, 2, DEFAULT_COLLATION_OID, nullptr, nullptr);
      fcinfo->args[0] = {value, false};
      fcinfo->args[1] = {Int32GetDatum(kSrid), false};
      there = FunctionCallInvoke(fcinfo);
      if (call(&f.x, there, &d)) out.lon = DatumGetFloat8(d);
      if (call(&f.y, there, &d)) out.lat = DatumGetFloat8(d);
      return out;
    });
    tx.release();
    return at;
  } catch (const bridge::PgError &e) {
    if (e.sqlstate == ERRCODE_QUERY_CANCELED) throw;
    return Error{Errc::invalid_argument, "position of the report cannot be transformed to longitude and latitude",
                 "Its SRID is " + std::to_string(srid) + ": " + e.message + ".",
                 "Give a point within the area of its SRID, which is in spatial_ref_sys, or one with SRID 4326."};
  }
}

}  // namespace

Result<LonLat> read_point(Datum value, Oid type) {
  static Functions cached[2];
  Functions &f = cached[0].type == type ? cached[0] : cached[1];
  if (f.type != type) {
    if (cached[0].type != InvalidOid) cached[1] = cached[0];
    bridge::pg_call([&] { look_up(cached[0], type); });
    return read_point(value, type);
  }
  std::optional<LonLat> plain;
  if (f.bytes != Functions::kOtherwise) plain = plain_point(value);
  if (plain && f.bytes == Functions::kAsThought) return *plain;
  struct Read {
    char kind[32];
    int srid;
    bool empty;
    LonLat at;
  };
  Read r = bridge::pg_call([&] {
    Read out{};
    Datum d;
    if (call(&f.kind, value, &d)) text_to_cstring_buffer(DatumGetTextPP(d), out.kind, sizeof out.kind);
    if (call(&f.srid, value, &d)) out.srid = DatumGetInt32(d);
    if (strcmp(out.kind, "POINT") != 0) return out;
    out.empty = !call(&f.x, value, &d);
    if (out.empty) return out;
    out.at.lon = DatumGetFloat8(d);
    if (call(&f.y, value, &d)) out.at.lat = DatumGetFloat8(d);
    return out;
  });
  if (strcmp(r.kind, "POINT") != 0) return not_a_point("It is a " + std::string(r.kind) + ".");
  if (r.empty) return not_a_point("It is an empty point.");
  if (r.srid == 0) return from_plane(r.at);
  if (r.srid != kSrid) return transformed(f, value, r.srid);
  if (plain) f.bytes = same_bits(*plain, r.at) ? Functions::kAsThought : Functions::kOtherwise;
  return r.at;
}

}  // namespace vectorshard::telemetry
