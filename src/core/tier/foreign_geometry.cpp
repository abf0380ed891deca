// Geometries of others: see foreign_geometry.hpp.
#include "core/tier/foreign_geometry.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

namespace vectorshard::tier {

namespace {

constexpr int32_t kLongitudeLatitude = 4326, kSridMax = 998999;  // PostGIS has no greater ones for anybody
constexpr uint32_t kFlagZ = 0x80000000, kFlagM = 0x40000000, kFlagSrid = 0x20000000, kFlags = kFlagZ | kFlagM | kFlagSrid;
constexpr int kDeepest = 200;
constexpr size_t kHeader = 5;  // byte order and type

struct Shape {
  enum { point, points, rings, parts } of;
  uint64_t coordinate_bytes;
  bool has_srid;
};

std::optional<Shape> shape_of(uint32_t word) {
  uint32_t type = word & ~kFlags, dimensions = type / 1000;
  if (dimensions > 3) return std::nullopt;
  const bool z = (word & kFlagZ) || dimensions == 1 || dimensions == 3, m = (word & kFlagM) || dimensions >= 2;
  Shape s{Shape::point, (2u + z + m) * sizeof(double), (word & kFlagSrid) != 0};
  switch (type % 1000) {
    case 1: return s;
    case 2:
    case 8: s.of = Shape::points; return s;
    case 3:
    case 17: s.of = Shape::rings; return s;
    case 4:
    case 5:
    case 6:
    case 7:
    case 9:
    case 10:
    case 11:
    case 12:
    case 15:
    case 16: s.of = Shape::parts; return s;
    default: return std::nullopt;
  }
}

uint32_t word_at(const char *at, bool little) {
  uint32_t v = 0;
  for (int i = 0; i < 4; i++) v |= static_cast<uint32_t>(static_cast<unsigned char>(at[i])) << (little ? i * 8 : 24 - i * 8);
  return v;
}

void put_word(char *at, uint32_t v, bool little) {
  for (int i = 0; i < 4; i++) at[i] = static_cast<char>(v >> (little ? i * 8 : 24 - i * 8));
}

/// Goes over a geometry and believes no number in it.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : left_(bytes) {}
  bool all() { return geometry(0) && left_.empty(); }

 private:
  bool skip(uint64_t bytes) {
    if (bytes > left_.size()) return false;
    left_.remove_prefix(bytes);
    return true;
  }
  bool word(bool little, uint32_t *v) {
    if (left_.size() < sizeof *v) return false;
    *v = word_at(left_.data(), little);
    return skip(sizeof *v);
  }
  bool points(bool little, uint64_t coordinate_bytes) {
    uint32_t n;
    return word(little, &n) && skip(n * coordinate_bytes);
  }
  bool geometry(int depth) {
    if (depth > kDeepest || left_.size() < kHeader || static_cast<unsigned char>(left_[0]) > 1) return false;
    const bool little = left_[0] == 1;
    uint32_t type, count;
    (void)skip(1);
    if (!word(little, &type)) return false;
    std::optional<Shape> shape = shape_of(type);
    if (!shape || (shape->has_srid && !skip(kSridBytes))) return false;
    if (shape->of == Shape::point) return skip(shape->coordinate_bytes);
    if (shape->of == Shape::points) return points(little, shape->coordinate_bytes);
    if (!word(little, &count)) return false;
    for (uint32_t i = 0; i < count; i++)
      if (!(shape->of == Shape::rings ? points(little, shape->coordinate_bytes) : geometry(depth + 1))) return false;
    return true;
  }

  std::string_view left_;
};

}  // namespace

std::optional<int32_t> srid_of_crs(std::string_view crs) {
  if (crs.empty() || crs == "OGC:CRS84") return kLongitudeLatitude;
  if (crs == "null") return 0;
  constexpr std::string_view kEpsg = "EPSG:", kSrid = "srid:";
  if (!crs.starts_with(kEpsg) && !crs.starts_with(kSrid)) return std::nullopt;
  crs.remove_prefix(kEpsg.size());
  int32_t srid = 0;
  auto [end, error] = std::from_chars(crs.data(), crs.data() + crs.size(), srid);
  if (error != std::errc() || end != crs.data() + crs.size() || srid <= 0 || srid > kSridMax) return std::nullopt;
  return srid;
}

ForeignGeometry::Dimensions dimensions_of(const std::vector<std::string> &types) {
  using Dimensions = ForeignGeometry::Dimensions;
  if (types.empty()) return Dimensions::unknown;
  if (std::all_of(types.begin(), types.end(), [](const std::string &t) { return t.find(' ') == std::string::npos; })) return Dimensions::xy;
  return std::all_of(types.begin(), types.end(), [](const std::string &t) { return t.ends_with(" Z"); }) ? Dimensions::xyz : Dimensions::unknown;
}

size_t ewkb_of_wkb(std::string_view wkb, int32_t srid, char *out) {
  if (!Reader(wkb).all()) return 0;
  const bool little = wkb[0] == 1;
  const uint32_t type = word_at(wkb.data() + 1, little);
  const bool has_srid = (type & kFlagSrid) != 0;
  if (has_srid && srid != 0 && word_at(wkb.data() + kHeader, little) != static_cast<uint32_t>(srid)) return 0;
  if (has_srid || srid == 0) {
    memcpy(out, wkb.data(), wkb.size());
    return wkb.size();
  }
  out[0] = wkb[0];
  put_word(out + 1, type | kFlagSrid, little);
  put_word(out + kHeader, static_cast<uint32_t>(srid), little);
  memcpy(out + kHeader + kSridBytes, wkb.data() + kHeader, wkb.size() - kHeader);
  return wkb.size() + kSridBytes;
}

}  // namespace vectorshard::tier
