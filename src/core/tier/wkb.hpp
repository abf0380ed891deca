// Well-known binary: between PostGIS's extended form, which has the SRID and flags for Z and M in it, and the ISO form, which GeoParquet wants.
// Only what GeoParquet 1.1 knows is converted (points to collections, with Z at most), and back to the very same bytes.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::tier {

/// Bytes of the ISO form that has no SRID, and the SRID.
struct IsoGeometry {
  std::string_view wkb;
  int32_t srid = 0;
};
/// Converts in place: the result lies within `ewkb`, whose bytes are of no use after a failure. None: it has M, a curve or a surface, is no
/// little-endian WKB, or would not come back the same.
std::optional<IsoGeometry> iso_of_ewkb(char *ewkb, size_t bytes);

/// The bytes that the SRID takes in the extended form.
constexpr size_t kSridBytes = 4;
/// The extended form of a geometry into `out`, which has room for its bytes and kSridBytes more; how long it is, 0 if it is damaged.
size_t ewkb_of_iso(std::string_view wkb, int32_t srid, char *out);

/// What the geometries of a column are: their types, and the box of their coordinates.
class GeometryCensus {
 public:
  /// A geometry of the ISO form.
  void add(std::string_view wkb);
  /// Names as GeoParquet has them: "Point", "Point Z".
  std::vector<std::string> types() const;
  /// Four numbers, six if any has Z; empty if there is none, or no finite one.
  std::vector<double> box() const;

 private:
  uint32_t types_ = 0;  // bit: type, and 8 more with Z
  bool finite_ = true, any_ = false;
  double low_[3] = {}, high_[3] = {};
  bool any_z_ = false;
};

}  // namespace vectorshard::tier
