// Reading a PostGIS point: the usual one from its bytes, once PostGIS's own functions read the same from one; whatever
// else, and what is not a point, through those functions.
#pragma once
#include "core/base/result.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::telemetry {

struct LonLat {
  double lon = 0;
  double lat = 0;
};

/// Longitude and latitude of a value of type geometry or geography (`type`), of SRID 4326 or any other that PostGIS knows, or of
/// none if vectorshard.plane_origin is set; an Error if it is no such point.
Result<LonLat> read_point(Datum value, Oid type);

}  // namespace vectorshard::telemetry
