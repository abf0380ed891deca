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

/// Longitude and latitude of a value of type geometry or geography (`type`); an Error if it is not a point with
/// SRID 4326.
Result<LonLat> read_point(Datum value, Oid type);

}  // namespace vectorshard::telemetry
