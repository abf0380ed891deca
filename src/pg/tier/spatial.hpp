// PostGIS's types in segments: telling them, and what GeoParquet says of their columns.
#pragma once
#include <string>
#include <vector>

#include "core/tier/geoparquet.hpp"
#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// In PostGIS its longitude comes first, as in OGC:CRS84.
constexpr int32_t kLonLat = 4326;

enum class Spatial : uint8_t { none, geometry, geography };
/// Whether a type (no domain) is PostGIS's. Plain C: inside pg_call.
Spatial spatial_of(Oid type);
/// Whether ISO WKB can hold what a modifier of PostGIS lets in, and its SRID (0: any).
bool fits_iso_wkb(int32 typmod);
int32 srid_of(int32 typmod);

/// The columns of a file that hold ISO WKB, while it is written.
class GeoColumns {
 public:
  /// Those of kind wkb; their SRIDs are put there as they come to be known. `types`: of all columns, domains' base types.
  GeoColumns(std::vector<ManifestColumn> *columns, std::vector<Oid> types);
  bool any() const;
  /// Takes cells of a column of kind wkb, `stride` apart; false if one cannot lie there, or has another SRID than the first had.
  bool add(size_t column, const Cell *cells, size_t stride, size_t n);
  /// Tells readers of the file. Needs SPI. Raises if the file cannot be written.
  void finish(const std::string &path);

 private:
  struct Of {
    bool seen = false;
    GeometryCensus census;
  };
  std::vector<ManifestColumn> *columns_;
  std::vector<Oid> types_;
  std::vector<Of> of_;  // per column
};

}  // namespace vectorshard::tier
