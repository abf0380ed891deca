// Beside the poles the frame is azimuthal equidistant: right distances and directions as seen from the anchor.
#include "core/predict/local_frame.hpp"

#include <algorithm>
#include <cmath>

namespace vectorshard::predict {

using telemetry::kMetresPerDegree;
using telemetry::kPi;
using telemetry::lon_difference;
using telemetry::radians;

namespace {

constexpr double kEarthRadiusM = kMetresPerDegree * 180 / kPi;

Metres to_metres_on_sphere(const Position &anchor, const Position &p) {
  double a = radians(anchor.lat), b = radians(p.lat), l = radians(lon_difference(anchor.lon, p.lon));
  double east = std::cos(b) * std::sin(l), north = std::cos(a) * std::sin(b) - std::sin(a) * std::cos(b) * std::cos(l);
  double sine = std::hypot(east, north), cosine = std::sin(a) * std::sin(b) + std::cos(a) * std::cos(b) * std::cos(l);
  double scale = kEarthRadiusM * (sine > 0 ? std::atan2(sine, cosine) / sine : 1);
  return {east * scale, north * scale};
}

Position from_metres_on_sphere(const Position &anchor, Metres m) {
  double way = std::hypot(m.x, m.y), c = way / kEarthRadiusM, a = radians(anchor.lat);
  if (way == 0) return anchor;
  double sine = std::cos(c) * std::sin(a) + m.y * std::sin(c) * std::cos(a) / way;
  double l = std::atan2(m.x * std::sin(c), way * std::cos(a) * std::cos(c) - m.y * std::sin(a) * std::sin(c));
  return {std::asin(std::clamp(sine, -1.0, 1.0)) * 180 / kPi, std::remainder(anchor.lon + l * 180 / kPi, 360.0)};
}

}  // namespace

Metres to_metres(const Position &anchor, const Position &p) {
  if (polar(anchor)) return to_metres_on_sphere(anchor, p);
  return {lon_difference(anchor.lon, p.lon) * kMetresPerDegree * std::cos(radians(anchor.lat)), (p.lat - anchor.lat) * kMetresPerDegree};
}

Position from_metres(const Position &anchor, Metres m) {
  if (polar(anchor)) return from_metres_on_sphere(anchor, m);
  double lat = std::clamp(anchor.lat + m.y / kMetresPerDegree, -90.0, 90.0);
  return {lat, std::remainder(anchor.lon + m.x / kMetresPerDegree / std::cos(radians(anchor.lat)), 360.0)};
}

Metres turned(const Position &from, const Position &to, Metres velocity) {
  if (!polar(from) || (from.lat == to.lat && from.lon == to.lon)) return velocity;
  Metres way = to_metres(from, to);
  double t = radians(telemetry::course_deg(from.lat, from.lon, to.lat, to.lon)) - std::atan2(way.x, way.y);
  return {velocity.x * std::cos(t) + velocity.y * std::sin(t), velocity.y * std::cos(t) - velocity.x * std::sin(t)};
}

}  // namespace vectorshard::predict
