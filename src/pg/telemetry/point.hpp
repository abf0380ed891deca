// Reading a PostGIS point, through PostGIS's own functions: the layout of its values is its own affair.
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
