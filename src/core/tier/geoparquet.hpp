// GeoParquet 1.1: what the key "geo" of a Parquet file says of its columns with geometries, and putting it into the footer of a file that is
// written already: what the geometries are is known only when all have gone by.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tier/wkb.hpp"

namespace vectorshard::tier {

struct GeoColumn {
  std::string field;         // its name in the file
  std::string crs;           // PROJJSON, or "null" for one that is not known; empty: OGC:CRS84
  bool spherical = false;    // edges are geodesics
  GeometryCensus geometries;
};
/// The value of the key. At least one column: the first is the primary one.
std::string geo_metadata(const std::vector<GeoColumn> &columns);

constexpr const char *kGeoKey = "geo";
/// What the key is given while a file is written.
constexpr const char *kGeoPlaceholder = "vectorshard writes this when it knows all rows";
/// The metadata of a Parquet file (what its last bytes tell the length of) with a value for the placeholder; none if it has no placeholder.
std::optional<std::string> with_geo_metadata(std::string_view footer, std::string_view value);

}  // namespace vectorshard::tier
