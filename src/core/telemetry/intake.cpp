// Intake: see intake.hpp.
#include "core/telemetry/intake.hpp"

#include <algorithm>

namespace vectorshard::telemetry {

namespace {

constexpr double kIntervalRise = 0.3;     // weight of a longer interval than usual
constexpr double kIntervalFall = 0.05;    // and of a shorter one: the peak is what a look-ahead must cover
constexpr double kPaceTimeS = 300;        // time constant of the pace
constexpr double kHeadingFromMps = 0.5;   // slower: GPS noise decides the heading, so there is none
constexpr double kUnseenGapS = 86400;     // one that only hands over is silent while it rests in a cell: a night, say
constexpr double kGpsSlackM = 100;        // a jump this far is noise at any interval, not speed

Error bad(const std::string &message, const std::string &detail, const std::string &hint) {
  return Error{Errc::invalid_argument, message, detail, hint};
}

/// The first report on `self` after another node, or after none.
void served_by(NodeId self, double at_s, Motion &m) {
  if (m.serving == self) return;
  m.serving = self;
  m.serving_since_s = at_s;
}

/// A long silence ends a session, even of a client that came to another node meanwhile.
bool session_begins(double at_s, const Motion &m) {
  double gap_s = m.reports == 0 ? kUnseenGapS : std::max(kSessionGapS, 3 * m.interval_s);
  return m.at_s == 0 || m.session_s == 0 || at_s - m.at_s > gap_s;
}

void derive_speed(const Report &r, double dt, Motion &m) {
  bool derived = dt > 0 && !(r.speed_mps && r.heading_deg);
  double moved_m = derived ? distance_m(m.lat, m.lon, r.lat, r.lon) : 0;
  if (r.speed_mps) {
    m.speed_mps = *r.speed_mps;
  } else {
    m.speed_mps = dt > 0 ? moved_m / dt : 0;
  }
  if (r.heading_deg) {
    m.heading_deg = *r.heading_deg;
  } else if (dt > 0 && moved_m / dt > kHeadingFromMps) {
    m.heading_deg = course_deg(m.lat, m.lon, r.lat, r.lon);
  } else {
    m.heading_deg = -1;
  }
}

}  // namespace

Result<void> check_wellformed(const Report &r) {
  if (!std::isfinite(r.lat) || !std::isfinite(r.lon))
    return bad("position of the report is not finite",
               "Longitude is " + std::to_string(r.lon) + ", latitude is " + std::to_string(r.lat) + ".",
               "Give longitude and latitude as finite numbers.");
  if (std::fabs(r.lat) > 90)
    return bad("latitude out of range", "Latitude is " + std::to_string(r.lat) + ".",
               "Give WGS84 degrees between -90 and 90; in PostGIS points the longitude comes first.");
  if (std::fabs(r.lon) > 180)
    return bad("longitude out of range", "Longitude is " + std::to_string(r.lon) + ".",
               "Give WGS84 degrees between -180 and 180.");
  if (r.speed_mps && !(*r.speed_mps >= 0 && std::isfinite(*r.speed_mps)))
    return bad("speed out of range", "Speed is " + std::to_string(*r.speed_mps) + ".",
               "Give metres per second, zero or more, or null.");
  if (r.heading_deg && !(*r.heading_deg >= 0 && *r.heading_deg <= 360))
    return bad("heading out of range", "Heading is " + std::to_string(*r.heading_deg) + ".",
               "Give degrees clockwise from north between 0 and 360, or null.");
  return {};
}

std::optional<Refusal> check_time(double at_s, const Motion &m, double now_s, const IntakeLimits &limits) {
  if (at_s > now_s + limits.max_ahead_s) return Refusal::future;
  if (at_s < now_s - limits.max_age_s) return Refusal::late;
  if (m.at_s == 0) return std::nullopt;
  if (at_s == m.at_s) return Refusal::duplicate;
  if (at_s < m.at_s) return Refusal::late;
  return std::nullopt;
}

std::optional<Refusal> check_plausible(const Report &r, const Motion &m, double now_s, const IntakeLimits &limits) {
  if (auto refusal = check_time(r.at_s, m, now_s, limits)) return refusal;
  if (r.speed_mps && *r.speed_mps > limits.max_speed_mps) return Refusal::too_fast;
  if (m.reports == 0) return std::nullopt;
  double may = kGpsSlackM + limits.max_speed_mps * (r.at_s - m.at_s);
  if (surely_within(m.lat, m.lon, r.lat, r.lon, may) || distance_m(m.lat, m.lon, r.lat, r.lon) <= may) return std::nullopt;
  return Refusal::too_fast;
}

void take(const Report &r, NodeId self, Motion &m) {
  double dt = m.at_s > 0 ? r.at_s - m.at_s : 0;
  bool begins = session_begins(r.at_s, m), fresh = begins || m.reports == 0;
  derive_speed(r, fresh ? 0 : dt, m);
  if (begins) m.session_s = r.at_s;
  if (fresh) {
    m.pace_mps = m.speed_mps;
  } else {
    double weight = m.interval_s == 0 ? 1 : dt > m.interval_s ? kIntervalRise : kIntervalFall;
    m.interval_s += weight * (dt - m.interval_s);
    double w = 1 - std::exp(-dt / kPaceTimeS);
    m.pace_mps += w * (m.speed_mps - m.pace_mps);
  }
  bool stays = m.reports > 0 && (surely_within(m.stay.lat, m.stay.lon, r.lat, r.lon, kStayRadiusM) ||
                                 distance_m(m.stay.lat, m.stay.lon, r.lat, r.lon) <= kStayRadiusM);
  if (!stays) m.stay = {r.lat, r.lon, r.at_s};
  served_by(self, r.at_s, m);
  m.at_s = r.at_s;
  m.lat = r.lat;
  m.lon = r.lon;
  m.reports++;
}

bool go_on_from(const Motion &before, Motion &m) {
  auto moves = [](const Habit &h) {
    uint64_t n = 0;
    for (const HabitMove &each : h.moves) n += each.times;
    return n;
  };
  if (before.at_s >= m.at_s || before.habit.here == 0 || moves(before.habit) < moves(m.habit)) return false;
  m.habit = before.habit;
  bool same_session = m.session_s - before.at_s <= (before.reports == 0 ? kUnseenGapS : std::max(kSessionGapS, 3 * before.interval_s));
  if (same_session && m.session_s > before.session_s) m.session_s = before.session_s;
  if (m.interval_s == 0) m.interval_s = before.interval_s;
  return true;
}

void take_handover(double at_s, NodeId self, Motion &m) {
  if (session_begins(at_s, m)) m.session_s = at_s;
  served_by(self, at_s, m);
  m.at_s = at_s;
  m.speed_mps = 0;
  m.heading_deg = -1;
  m.kalman.updates = 0;
  m.trail.anchor = {};  // no way leads from a known position to one that is not
  m.reports = 0;
}

}  // namespace vectorshard::telemetry
