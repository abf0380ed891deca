// A report and the motion of a client: what one node must remember of a client to predict where it goes.
// Motion is plain data of fixed size (at most 1 kB): it lives in shared memory, and as bytes in the table `motion`,
// so it follows the client. All times are clients' seconds since 1970; positions are WGS84 degrees.
#pragma once
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/telemetry/habit.hpp"

namespace vectorshard::telemetry {

constexpr double kMetresPerDegree = 111320;
constexpr double kPi = 3.14159265358979323846;

constexpr double kSessionGapS = 180;  // a longer silence begins a new session
constexpr double kStayRadiusM = 50;
constexpr double kStayAfterS = 240;

/// Degrees to radians.
constexpr double radians(double degrees) { return degrees * (kPi / 180); }

/// One report. speed and heading are absent when the application does not know them.
struct Report {
  double at_s = 0;
  double lat = 0;
  double lon = 0;
  std::optional<double> speed_mps;
  std::optional<double> heading_deg;
};

/// Filter of constant velocity, or of none, in metres east (x) and north (y) of an anchor. Both axes share one covariance because
/// noise is the same in every direction.
struct KalmanState {
  double anchor_lat = 0;
  double anchor_lon = 0;
  double x = 0, y = 0, vx = 0, vy = 0;
  double p_pos = 0, p_cross = 0, p_vel = 0;  // variances m², m²/s, (m/s)²
  double at_s = 0;
  double stopped = 0;  // probability that it stands: the filter has two modes, moving (above) and stopped
  double stop_x = 0, stop_y = 0, p_stop = 0;  // where it stands, if it does, with the variance
  uint32_t resets = 0;
  uint32_t updates = 0;  // since the last reset; 0: no state
};

/// Detects a client that does not move: the place it has not left, and since when.
struct StayState {
  double lat = 0;
  double lon = 0;
  double since_s = 0;
};

/// Why a report was refused. Values index counters in shared memory: append only.
enum class Refusal : uint8_t { late, future, duplicate, too_fast, malformed };
constexpr int kRefusalCount = 5;
const char *refusal_name(Refusal refusal);

/// From where the way of a client is measured, for others to learn from.
struct Anchor {
  double at_s = 0;  // 0: there is none
  double lat = 0, lon = 0;
  float east = 1, north = 0;  // unit vector of the heading
  int32_t way_class = 0;
};

/// Where a client was, as the crowd's memory names it.
struct Stand {
  double at_s = 0;
  uint64_t place = 0;  // predict::PlaceKey
  NodeId serving = kNoNode;
};

/// Where a client has been of late: enough to tell at an arrival where it was when a copy would have had to be begun.
struct Trail {
  static constexpr int kStands = 8;
  Anchor anchor;
  Stand stands[kStands];  // oldest first, the newest always among them
  int32_t count = 0;

  /// Keeps stands at most a third of `lead_s` apart (or as far apart as reports are) over at least `lead_s`.
  void note(const Stand &here, double lead_s);
  /// The latest stand that is not after `at_s`, or null.
  const Stand *before(double at_s) const;
  const Stand *last() const { return count > 0 ? &stands[count - 1] : nullptr; }
};

struct Motion {
  double at_s = 0;  // of the last accepted report; 0: none yet
  double lat = 0;
  double lon = 0;
  double speed_mps = 0;     // reported, else derived
  double heading_deg = -1;  // reported, else derived; -1: unknown (too slow to tell)
  double interval_s = 0;    // time between reports, the usual longest (a slow peak); 0: unknown
  double pace_mps = 0;      // moving average of the speed over some minutes
  double session_s = 0;     // when the present run of reports began
  KalmanState kalman;
  StayState stay;
  NodeId serving = kNoNode;    // node that took the last report
  double serving_since_s = 0;  // first report on that node
  uint64_t reports = 0;  // accepted ones since the position was last unknown; 0: no position is known
  Trail trail;
  Habit habit;
};
static_assert(std::is_trivially_copyable_v<Motion> && sizeof(Motion) <= 1024);

/// True if the client has not left a small place for minutes, as of its last report.
inline bool parked(const Motion &m) { return m.at_s - m.stay.since_s >= kStayAfterS; }

/// Bytes for the table `motion`, versioned; decode fails closed on anything else than what encode made.
std::string encode(const Motion &motion);
Result<Motion> decode_motion(std::string_view bytes);

/// From one longitude to another the short way round, -180 to 180: both between -180 and 180.
inline double lon_difference(double from, double to) {
  double d = to - from;
  return d > 180 ? d - 360 : d < -180 ? d + 360 : d;
}

/// Where flat-earth metres are wrong: beside a pole, and far.
inline bool on_a_sphere(double lat, double dlat, double dlon) {
  return std::fabs(lat) > 80 || std::fabs(dlat) > 1 || std::fabs(dlon) > 1;
}

/// Metres along the great circle.
double great_circle_m(double lat1, double lon1, double lat2, double lon2);

/// Metres between two positions, right to a percent anywhere.
inline double distance_m(double lat1, double lon1, double lat2, double lon2) {
  double dlat = lat2 - lat1, dlon = lon_difference(lon1, lon2);
  if (on_a_sphere(lat1, dlat, dlon)) return great_circle_m(lat1, lon1, lat2, lon2);
  double dx = dlon * std::cos(radians((lat1 + lat2) / 2));
  return kMetresPerDegree * std::sqrt(dx * dx + dlat * dlat);
}

/// Whether two positions are surely within `metres` of each other: cheaper than the distance, and often enough.
inline bool surely_within(double lat1, double lon1, double lat2, double lon2, double metres) {
  return kMetresPerDegree * (std::fabs(lat2 - lat1) + std::fabs(lon_difference(lon1, lon2))) <= metres;
}

/// Degrees clockwise from north, 0 to 360, in which one arrives at the second position from the first.
double course_deg(double lat1, double lon1, double lat2, double lon2);

}  // namespace vectorshard::telemetry
