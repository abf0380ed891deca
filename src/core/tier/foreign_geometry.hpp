// Geometries in Parquet files of others: what their metadata says of a column, and well-known binary of any writer, of which nothing is believed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/wkb.hpp"

namespace vectorshard::tier {

struct ForeignGeometry {
  enum class Dimensions : uint8_t { unknown, xy, xyz };
  std::string crs;         // "AUTHORITY:CODE"; "null": not known to anybody; empty: longitude and latitude; anything else: one without a code
  bool spherical = false;  // edges are geodesics
  Dimensions dimensions = Dimensions::unknown;
  bool operator==(const ForeignGeometry &) const = default;
};

/// The SRID that PostGIS has for a coordinate system, 0 if the file says that it is not known; none if it has no code that could be one.
std::optional<int32_t> srid_of_crs(std::string_view crs);

/// What all have whose types (as GeoParquet names them) these are; unknown if some have Z, or anything has M, or the list is empty.
ForeignGeometry::Dimensions dimensions_of(const std::vector<std::string> &types);

/// The extended form, which PostGIS reads, of a geometry in the ISO form or the extended one, of either byte order, with Z, M, curves and surfaces, into
/// `out`, which has room for its bytes and kSridBytes more; how long it is. 0 if its bytes are no such geometry and nothing else, or one of another SRID.
size_t ewkb_of_wkb(std::string_view wkb, int32_t srid, char *out);

}  // namespace vectorshard::tier
