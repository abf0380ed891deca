// Well-known binary: see wkb.hpp.
#include "core/tier/wkb.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace vectorshard::tier {

namespace {

static_assert(std::endian::native == std::endian::little, "a server of another byte order sends other bytes: its geometries stay in the extended form");

constexpr uint32_t kFlagZ = 0x80000000, kFlagM = 0x40000000, kFlagSrid = 0x20000000, kFlags = kFlagZ | kFlagM | kFlagSrid;
constexpr uint32_t kIsoZ = 1000, kPoint = 1, kLine = 2, kPolygon = 3, kCollection = 7;
constexpr int kDeepest = 200;
constexpr size_t kHeader = 5;  // byte order and type

uint32_t word_at(const char *at) {
  uint32_t v;
  memcpy(&v, at, sizeof v);
  return v;
}
void put_word(char *at, uint32_t v) { memcpy(at, &v, sizeof v); }

struct Shape {
  uint32_t type;
  bool z;
};
bool is_known(uint32_t type) { return type >= kPoint && type <= kCollection; }

std::optional<Shape> shape_of_iso(const char *word) {
  uint32_t type = word_at(word);
  bool z = type > kIsoZ;
  if (z) type -= kIsoZ;
  if (!is_known(type)) return std::nullopt;
  return Shape{type, z};
}

/// Goes over a geometry: `header` is given each type word, the first one too, and tells the shape; `points` is given coordinates.
template <class Byte, class Header, class Points>
class Walk {
 public:
  Walk(Byte *at, Byte *end, Header header, Points points) : at_(at), end_(end), header_(header), points_(points) {}
  bool all() { return geometry(0) && at_ == end_; }

 private:
  bool has(uint64_t bytes) const { return bytes <= static_cast<uint64_t>(end_ - at_); }
  bool count(uint32_t *n) {
    if (!has(sizeof *n)) return false;
    *n = word_at(at_);
    at_ += sizeof *n;
    return true;
  }
  bool coordinates(uint64_t n, bool z) {
    const uint64_t bytes = n * (z ? 3 : 2) * sizeof(double);
    if (!has(bytes)) return false;
    points_(at_, n, z);
    at_ += bytes;
    return true;
  }
  bool line(bool z) {
    uint32_t n;
    return count(&n) && coordinates(n, z);
  }
  bool geometry(int depth) {
    if (depth > kDeepest || !has(kHeader) || *at_ != 1) return false;
    std::optional<Shape> shape = header_(at_ + 1);
    if (!shape) return false;
    at_ += kHeader;
    if (shape->type == kPoint) return coordinates(1, shape->z);
    if (shape->type == kLine) return line(shape->z);
    uint32_t parts;
    if (!count(&parts)) return false;
    for (uint32_t i = 0; i < parts; i++)
      if (!(shape->type == kPolygon ? line(shape->z) : geometry(depth + 1))) return false;
    return true;
  }

  Byte *at_, *end_;
  Header header_;
  Points points_;
};

}  // namespace

std::optional<IsoGeometry> iso_of_ewkb(char *ewkb, size_t bytes) {
  IsoGeometry out;
  char *begin = ewkb, *end = ewkb + bytes;
  if (bytes < kHeader) return std::nullopt;
  if (uint32_t word = word_at(ewkb + 1); word & kFlagSrid) {
    if (bytes < kHeader + kSridBytes) return std::nullopt;
    out.srid = static_cast<int32_t>(word_at(ewkb + kHeader));
    if (out.srid == 0) return std::nullopt;
    // The header moves to where the SRID was.
    begin += kSridBytes;
    *begin = *ewkb;
    put_word(begin + 1, word & ~kFlagSrid);
  }
  auto header = [](char *at) -> std::optional<Shape> {
    uint32_t word = word_at(at), type = word & ~kFlags;
    if ((word & (kFlagM | kFlagSrid)) || !is_known(type)) return std::nullopt;
    put_word(at, word & kFlagZ ? type + kIsoZ : type);
    return Shape{type, (word & kFlagZ) != 0};
  };
  if (!Walk(begin, end, header, [](const char *, uint64_t, bool) {}).all()) return std::nullopt;
  out.wkb = {begin, static_cast<size_t>(end - begin)};
  return out;
}

size_t ewkb_of_iso(std::string_view wkb, int32_t srid, char *out) {
  if (wkb.size() < kHeader) return 0;
  char *begin = srid == 0 ? out : out + kSridBytes;
  memcpy(begin, wkb.data(), wkb.size());
  auto header = [](char *at) -> std::optional<Shape> {
    std::optional<Shape> shape = shape_of_iso(at);
    if (shape) put_word(at, shape->type | (shape->z ? kFlagZ : 0));
    return shape;
  };
  if (!Walk(begin, begin + wkb.size(), header, [](const char *, uint64_t, bool) {}).all()) return 0;
  if (srid == 0) return wkb.size();
  *out = *begin;
  put_word(out + 1, word_at(begin + 1) | kFlagSrid);
  put_word(out + kHeader, static_cast<uint32_t>(srid));
  return wkb.size() + kSridBytes;
}

void GeometryCensus::add(std::string_view wkb) {
  std::optional<Shape> outer = wkb.size() < kHeader ? std::nullopt : shape_of_iso(wkb.data() + 1);
  if (!outer) return;
  types_ |= 1u << (outer->type + (outer->z ? 8 : 0));
  auto points = [this](const char *at, uint64_t n, bool z) {
    const size_t dimensions = z ? 3 : 2;
    for (uint64_t i = 0; i < n; i++, at += dimensions * sizeof(double)) {
      double p[3] = {};
      memcpy(p, at, dimensions * sizeof(double));
      bool empty = std::all_of(p, p + dimensions, [](double v) { return std::isnan(v); });  // an empty point
      if (empty) continue;
      bool first_z = z && !any_z_;
      for (size_t d = 0; d < dimensions; d++) {
        finite_ = finite_ && std::isfinite(p[d]);
        bool first = d == 2 ? first_z : !any_;
        low_[d] = first ? p[d] : std::min(low_[d], p[d]);
        high_[d] = first ? p[d] : std::max(high_[d], p[d]);
      }
      any_ = true;
      any_z_ = any_z_ || z;
    }
  };
  (void)Walk(wkb.data(), wkb.data() + wkb.size(), shape_of_iso, points).all();
}

std::vector<std::string> GeometryCensus::types() const {
  static constexpr const char *kNames[] = {"Point", "LineString", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection"};
  std::vector<std::string> out;
  for (bool z : {false, true})
    for (uint32_t type = kPoint; type <= kCollection; type++)
      if (types_ & (1u << (type + (z ? 8 : 0)))) out.push_back(std::string(kNames[type - 1]) + (z ? " Z" : ""));
  return out;
}

std::vector<double> GeometryCensus::box() const {
  if (!any_ || !finite_) return {};
  std::vector<double> out(low_, low_ + (any_z_ ? 3 : 2));
  out.insert(out.end(), high_, high_ + (any_z_ ? 3 : 2));
  return out;
}

}  // namespace vectorshard::tier
