// Distance and course on a sphere, for where flat-earth metres are wrong.
#include <algorithm>

#include "core/telemetry/types.hpp"

namespace vectorshard::telemetry {

double great_circle_m(double lat1, double lon1, double lat2, double lon2) {
  double s_lat = std::sin(radians(lat2 - lat1) / 2), s_lon = std::sin(radians(lon_difference(lon1, lon2)) / 2);
  double h = s_lat * s_lat + std::cos(radians(lat1)) * std::cos(radians(lat2)) * s_lon * s_lon;
  return kMetresPerDegree * (180 / kPi) * 2 * std::asin(std::sqrt(std::clamp(h, 0.0, 1.0)));
}

double course_deg(double lat1, double lon1, double lat2, double lon2) {
  double dlat = lat2 - lat1, dlon = lon_difference(lon1, lon2);
  double east = dlon * std::cos(radians(lat2)), north = dlat;
  if (on_a_sphere(lat2, dlat, dlon)) {
    double a = radians(lat1), b = radians(lat2), l = radians(dlon);
    east = std::sin(l) * std::cos(a);
    north = std::cos(l) * std::cos(a) * std::sin(b) - std::sin(a) * std::cos(b);
  }
  double degrees = std::atan2(east, north) * 180 / kPi;
  return degrees < 0 ? degrees + 360 : degrees;
}

}  // namespace vectorshard::telemetry
