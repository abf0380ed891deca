// Reading a PostGIS point: see point.hpp. A geography has the representation of a geometry, so the same functions read
// it.
#include "pg/telemetry/point.hpp"

#include "pg/bridge/guard.hpp"
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

/// The functions of PostGIS, looked up in the schema where the type lies.
struct Functions {
  Oid type = InvalidOid;
  FmgrInfo kind, srid, x, y;
};

void look_up(Functions &f, Oid type) {
  HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple)) elog(ERROR, "type %u does not exist", type);
  Oid schema = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typnamespace;
  ReleaseSysCache(tuple);
  Oid geometry = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum("geometry"), ObjectIdGetDatum(schema));
  auto bind = [&](const char *name, FmgrInfo *info) {
    List *qualified = list_make2(makeString(get_namespace_name(schema)), makeString(pstrdup(name)));
    fmgr_info_cxt(LookupFuncName(qualified, 1, &geometry, false), info, TopMemoryContext);
  };
  bind("geometrytype", &f.kind);
  bind("st_srid", &f.srid);
  bind("st_x", &f.x);
  bind("st_y", &f.y);
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

}  // namespace

Result<LonLat> read_point(Datum value, Oid type) {
  static Functions cached[2];
  Functions &f = cached[0].type == type ? cached[0] : cached[1];
  if (f.type != type) {
    if (cached[0].type != InvalidOid) cached[1] = cached[0];
    bridge::pg_call([&] { look_up(cached[0], type); });
    return read_point(value, type);
  }
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
  if (r.srid != kSrid) return not_a_point("Its SRID is " + std::to_string(r.srid) + ", not 4326.");
  return r.at;
}

}  // namespace vectorshard::telemetry
