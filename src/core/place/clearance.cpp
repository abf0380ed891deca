// Clearance: see clearance.hpp. Between two sites the way to the border follows from the difference of the squared distances,
// divided by the most that it may change in a metre.
#include "core/place/clearance.hpp"

#include <algorithm>
#include <cmath>

#include "core/telemetry/types.hpp"

namespace vectorshard::place {

using telemetry::kMetresPerDegree;
using telemetry::lon_difference;
using telemetry::radians;

namespace {

constexpr double kFarthestM = 100000;  // so far a plane is good for a bound
constexpr double kNearM = 1.5e6;
constexpr double kFarthestLat = 70;    // and so near the poles it is not
constexpr double kSafety = 1.15;       // the plane's width of a degree changes by less within kFarthestM
constexpr double kHalfWayRound = 170;  // degrees: which way round is the shorter may change
constexpr double kWidestDegrees = 60;
constexpr int kFewestCells = 16, kMostCells = 256;  // a side

struct Offset {
  double x, y;  // metres
};

struct Plane {
  double lat, lon, cosine;
  Plane(double lat, double lon) : lat(lat), lon(lon), cosine(std::cos(radians(lat))) {}
  Offset to(double to_lat, double to_lon) const {
    return {lon_difference(lon, to_lon) * cosine * kMetresPerDegree, (to_lat - lat) * kMetresPerDegree};
  }
};

double square(double v) { return v * v; }
double length_squared(const Offset &o) { return o.x * o.x + o.y * o.y; }

/// To where `other` becomes nearer than `own`, at least.
double to_border(const Plane &p, const Offset &own, const Offset &other) {
  double round = kHalfWayRound * kMetresPerDegree * p.cosine;
  bool turns = std::fabs(own.x) > round || std::fabs(other.x) > round;
  double apart_x = turns ? std::fabs(own.x) + std::fabs(other.x) : own.x - other.x;
  double steepest = 2 * std::hypot(apart_x, own.y - other.y);
  // Further north the same degrees are fewer metres.
  steepest += 2 * std::tan(radians(std::fabs(p.lat))) * std::fabs(square(own.x) - square(other.x)) / (kMetresPerDegree * 180 / telemetry::kPi);
  double ahead = length_squared(other) - length_squared(own);
  return ahead <= 0 ? 0 : ahead / (kSafety * steepest);
}

/// To where another of these sites becomes the nearest, at least.
double among(const Plane &p, const std::vector<Offset> &sites) {
  if (sites.empty()) return kFarthestM;
  auto nearer = [](const Offset &a, const Offset &b) { return length_squared(a) < length_squared(b); };
  auto own = std::min_element(sites.begin(), sites.end(), nearer);
  // The border lies half of the difference of the distances away at least; less, as to_border() has it, by its safety and the bend of
  // the plane, which are less than a half together for sites that are not thousands of kilometres away.
  double clear = kFarthestM, own_m = std::sqrt(length_squared(*own)), skipped = square(own_m + 4 * clear);
  for (auto other = sites.begin(); other != sites.end(); ++other) {
    double away = length_squared(*other);
    if (other == own || (away >= skipped && away <= square(kNearM))) continue;
    clear = std::min(clear, to_border(p, *own, *other));
    skipped = square(own_m + 4 * clear);
  }
  return clear;
}

double to_edge_squared(const Offset &a, const Offset &b) {
  Offset along{b.x - a.x, b.y - a.y};
  double length = length_squared(along), share = length > 0 ? std::clamp(-(a.x * along.x + a.y * along.y) / length, 0.0, 1.0) : 0;
  return length_squared({a.x + share * along.x, a.y + share * along.y});
}

/// To the nearest edge, if that is nearer than `clear`. Rings lie on a plane of degrees, as where they are looked into.
double to_ring(const Plane &p, const Ring &ring, double clear) {
  double least = square(clear * kSafety);
  auto offset = [&](const predict::Position &v) { return Offset{(v.lon - p.lon) * p.cosine * kMetresPerDegree, (v.lat - p.lat) * kMetresPerDegree}; };
  for (size_t i = 0, j = ring.size() - 1; i < ring.size(); j = i++) least = std::min(least, to_edge_squared(offset(ring[j]), offset(ring[i])));
  return std::sqrt(least) / kSafety;
}

}  // namespace

double NodeMap::clear_of_others_m(double lat, double lon) const {
  if (std::fabs(lat) > kFarthestLat) return 0;
  Plane p(lat, lon);
  double clear = kFarthestM;
  if (!areas_.empty()) clear = std::min(clear, (180 - std::fabs(lon)) * p.cosine * kMetresPerDegree / kSafety);
  std::vector<Offset> rivals;
  for (const Area &a : areas_) {
    double away = std::max({0.0, (a.south - lat) * kMetresPerDegree, (lat - a.north) * kMetresPerDegree,
                            (a.west - lon) * p.cosine * kMetresPerDegree, (lon - a.east) * p.cosine * kMetresPerDegree});
    if (away >= clear * kSafety) continue;
    const NodeSite &s = sites_[a.site];
    for (const Ring &ring : s.coverage)
      if (!ring.empty()) clear = to_ring(p, ring, clear);
    if (covers(a, lat, lon)) rivals.push_back(p.to(s.lat, s.lon));
  }
  if (rivals.empty())
    for (const Point &site : points_) rivals.push_back(p.to(site.lat, site.lon));
  return std::min(clear, among(p, rivals));
}

Clearance::Clearance(const NodeMap &map) {
  double south = 90, north = -90, west = 180, east = -180;
  auto include = [&](double lat, double lon) {
    south = std::min(south, lat);
    north = std::max(north, lat);
    west = std::min(west, lon);
    east = std::max(east, lon);
  };
  for (const NodeSite &s : map.sites()) {
    include(s.lat, s.lon);
    covered_ |= !s.coverage.empty();
    for (const Ring &ring : s.coverage)
      for (const auto &v : ring) include(v.lat, v.lon);
  }
  double height = std::max(north - south, 1e-2), width = std::max(east - west, 1e-2);
  if (map.sites().empty() || height > kWidestDegrees || width > kWidestDegrees) return;
  south_ = south - height / 4;
  west_ = west - width / 4;
  rows_ = columns_ = std::clamp(static_cast<int>(8 * std::sqrt(static_cast<double>(map.sites().size()))), kFewestCells, kMostCells);
  rows_per_degree_ = rows_ / (1.5 * height);
  columns_per_degree_ = columns_ / (1.5 * width);
  for (int row = 0; row < rows_; row++) {
    double lower = south_ + row / rows_per_degree_, upper = south_ + (row + 1) / rows_per_degree_, lat = (lower + upper) / 2;
    double nearest_equator = lower <= 0 && upper >= 0 ? 0 : std::min(std::fabs(lower), std::fabs(upper));
    widths_.push_back(static_cast<float>(kMetresPerDegree * std::cos(radians(std::min(nearest_equator, 90.0)))));
    for (int column = 0; column < columns_; column++) {
      double lon = west_ + (column + 0.5) / columns_per_degree_;
      bool on_earth = std::fabs(lat) <= 90 && std::fabs(lon) <= 180;
      cells_.push_back(on_earth ? Cell{map.node_at(lat, lon), static_cast<float>(map.clear_of_others_m(lat, lon))} : Cell{});
    }
  }
}

double Clearance::metres(const NodeMap &map, double lat, double lon, NodeId serving, double enough_m) const {
  double row = (lat - south_) * rows_per_degree_, column = (lon - west_) * columns_per_degree_, clear = 0;
  if (row >= 0 && column >= 0 && row < rows_ && column < columns_) {
    int r = static_cast<int>(row), c = static_cast<int>(column);
    const Cell &cell = cells_[static_cast<size_t>(r) * static_cast<size_t>(columns_) + static_cast<size_t>(c)];
    double y = (row - r - 0.5) / rows_per_degree_ * kMetresPerDegree;
    double x = (column - c - 0.5) / columns_per_degree_ * static_cast<double>(widths_[static_cast<size_t>(r)]);
    clear = static_cast<double>(cell.clear_m) - std::sqrt(x * x + y * y);
    if (clear > 0 && cell.node != serving) return 0;
    if (clear >= enough_m || (covered_ && clear > 0)) return clear;
  }
  if (map.node_at(lat, lon) != serving) return 0;
  return covered_ ? std::max(0.0, clear) : map.clear_of_others_m(lat, lon);
}

}  // namespace vectorshard::place
