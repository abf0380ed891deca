// The filter: predict with white-noise acceleration, update with position, then with velocity when it was reported.
#include "core/predict/kalman.hpp"

#include <algorithm>
#include <cmath>

#include "core/predict/local_frame.hpp"

namespace vectorshard::predict {

using telemetry::radians;

namespace {

constexpr double kPositionVariance = 20.0 * 20.0;   // m²: GPS in streets
constexpr double kVelocityVariance = 1.5 * 1.5;     // (m/s)²: a reported speed and heading
constexpr double kUnknownVelocity = 100.0 * 100.0;  // (m/s)²: before there is any
constexpr double kAcceleration = 1.0;               // m²/s³: after 60 s a velocity is known to 8 m/s only
constexpr double kGate = 25;                        // squared sigmas: beyond, the model does not hold
constexpr double kJumpMps = 80;                     // a sudden speed above this is a GPS jump,
constexpr double kFaster = 1.5;                     // but for a client that was nearly as fast before, or is so on average
constexpr double kReanchorM = 50000;                // flat-earth metres are good this far from the anchor

constexpr double kModeS = 120;                      // a mode lasts so long, on average
constexpr double kStopped = 0.5;                    // before anything is known, and after a jump
constexpr double kRollM2PerS = 0.25;                // one that stands may still roll

Position anchor_of(const telemetry::KalmanState &k) { return {k.anchor_lat, k.anchor_lon}; }

void reset(const telemetry::Report &r, double vx, double vy, double p_vel, telemetry::KalmanState &k) {
  k.anchor_lat = r.lat;
  k.anchor_lon = r.lon;
  k.x = k.y = k.stop_x = k.stop_y = 0;
  k.vx = vx;
  k.vy = vy;
  k.p_pos = k.p_stop = kPositionVariance;
  k.p_cross = 0;
  k.p_vel = p_vel;
  k.at_s = r.at_s;
  k.stopped = p_vel < kUnknownVelocity && vx * vx + vy * vy > kVelocityVariance ? 0 : kStopped;
  k.updates = 1;
  k.resets++;
}

void advance(double dt, telemetry::KalmanState &k) {
  k.x += k.vx * dt;
  k.y += k.vy * dt;
  k.p_pos += 2 * dt * k.p_cross + dt * dt * k.p_vel + kAcceleration * dt * dt * dt / 3;
  k.p_cross += dt * k.p_vel + kAcceleration * dt * dt / 2;
  k.p_vel += kAcceleration * dt;
}

void update_position(Metres z, telemetry::KalmanState &k) {
  double s = k.p_pos + kPositionVariance, gain = k.p_pos / s, gain_v = k.p_cross / s;
  double ex = z.x - k.x, ey = z.y - k.y;
  k.x += gain * ex;
  k.y += gain * ey;
  k.vx += gain_v * ex;
  k.vy += gain_v * ey;
  k.p_vel -= gain_v * k.p_cross;
  k.p_cross *= 1 - gain;
  k.p_pos *= 1 - gain;
}

void update_velocity(double vx, double vy, telemetry::KalmanState &k) {
  double s = k.p_vel + kVelocityVariance, gain = k.p_vel / s, gain_p = k.p_cross / s;
  double ex = vx - k.vx, ey = vy - k.vy;
  k.x += gain_p * ex;
  k.y += gain_p * ey;
  k.vx += gain * ex;
  k.vy += gain * ey;
  k.p_pos -= gain_p * k.p_cross;
  k.p_cross *= 1 - gain;
  k.p_vel *= 1 - gain;
}

/// The other mode: it stands where it was. As in an interacting multiple model filter (Blom, Bar-Shalom 1988) it takes over so much
/// from the moving mode as may just have stopped; then the mode that foretold the report better becomes likelier. `was`: the
/// filter at the last report, `k`: moved on to this one.
void update_stop(const telemetry::KalmanState &was, Metres z, const Metres *velocity, double dt, telemetry::KalmanState &k) {
  double stays = 0.5 + 0.5 * std::exp(-2 * dt / kModeS), stood = was.stopped * stays, halted = (1 - was.stopped) * (1 - stays);
  double prior = stood + halted, new_share = halted / prior, dx = was.x - was.stop_x, dy = was.y - was.stop_y;
  k.stop_x += new_share * dx;
  k.stop_y += new_share * dy;
  k.p_stop += new_share * (was.p_pos - was.p_stop) + new_share * (1 - new_share) * (dx * dx + dy * dy) / 2 + kRollM2PerS * dt;
  // Of two likelihoods exp(-e² / 2v) / v: variances are multiplied, so that there is one exponential and no logarithm.
  auto misses = [](double ex, double ey, double variance) { return (ex * ex + ey * ey) / (2 * variance); };
  double ex = z.x - k.stop_x, ey = z.y - k.stop_y, s = k.p_stop + kPositionVariance, moves = k.p_pos + kPositionVariance;
  double more = misses(z.x - k.x, z.y - k.y, moves) - misses(ex, ey, s), odds = prior / (1 - prior) * moves / s;
  if (velocity) {
    double v = k.p_vel + kVelocityVariance;
    more += misses(velocity->x - k.vx, velocity->y - k.vy, v) - misses(velocity->x, velocity->y, kVelocityVariance);
    odds *= v / kVelocityVariance;
  }
  odds *= std::exp(std::clamp(more, -30.0, 30.0));
  k.stopped = std::clamp(odds / (1 + odds), 1e-3, 1 - 1e-3);
  double gain = k.p_stop / s;
  k.stop_x += gain * ex;
  k.stop_y += gain * ey;
  k.p_stop *= 1 - gain;
}

/// Moves the anchor to where the filter stands, so that metres stay flat.
void reanchor(telemetry::KalmanState &k) {
  if (k.x * k.x + k.y * k.y < kReanchorM * kReanchorM) return;
  Position anchor = from_metres(anchor_of(k), {k.x, k.y});
  Metres v = turned(anchor_of(k), anchor, {k.vx, k.vy}), off = turned(anchor_of(k), anchor, {k.stop_x - k.x, k.stop_y - k.y});
  k.anchor_lat = anchor.lat;
  k.anchor_lon = anchor.lon;
  k.x = k.y = 0;
  k.stop_x = off.x;
  k.stop_y = off.y;
  k.vx = v.x;
  k.vy = v.y;
}

}  // namespace

void observe(const telemetry::Report &r, telemetry::Motion &m) {
  auto &k = m.kalman;
  bool measured = r.speed_mps && (r.heading_deg || *r.speed_mps == 0);
  double angle = radians(r.heading_deg.value_or(0)), speed = r.speed_mps.value_or(0);
  double mvx = speed * std::sin(angle), mvy = speed * std::cos(angle);
  double dt = r.at_s - k.at_s;
  if (k.updates == 0 || m.session_s == r.at_s || dt <= 0) {
    reset(r, measured ? mvx : 0, measured ? mvy : 0, measured ? kVelocityVariance : kUnknownVelocity, k);
    return;
  }
  telemetry::KalmanState before = k;
  advance(dt, k);
  Position here{r.lat, r.lon};
  Metres z = to_metres(anchor_of(k), here);
  double miss = (z.x - k.x) * (z.x - k.x) + (z.y - k.y) * (z.y - k.y);
  if (miss > kGate * (k.p_pos + kPositionVariance)) {
    double vx = (z.x - before.x) / dt, vy = (z.y - before.y) / dt;
    double usual = std::max(std::hypot(k.vx, k.vy), m.pace_mps);
    if (std::hypot(vx, vy) > std::max(kJumpMps, kFaster * usual)) vx = vy = 0;
    Metres v = turned(anchor_of(k), here, {vx, vy});
    reset(r, measured ? mvx : v.x, measured ? mvy : v.y, measured ? kVelocityVariance : kAcceleration * dt, k);
    return;
  }
  Metres v = measured ? turned(here, anchor_of(k), {mvx, mvy}) : Metres{};
  update_stop(before, z, measured ? &v : nullptr, dt, k);
  update_position(z, k);
  if (measured) update_velocity(v.x, v.y, k);
  k.at_s = r.at_s;
  k.updates++;
  reanchor(k);
}

Velocity velocity(const telemetry::Motion &m) {
  const auto &k = m.kalman;
  Metres v = turned(anchor_of(k), from_metres(anchor_of(k), {k.x, k.y}), {k.vx, k.vy});
  return {v.x * (1 - k.stopped), v.y * (1 - k.stopped)};
}

Position position_after(const telemetry::Motion &m, double ahead_s) {
  const auto &k = m.kalman;
  if (k.updates == 0) return {m.lat, m.lon};
  return from_metres(anchor_of(k), {k.x + k.vx * (1 - k.stopped) * ahead_s, k.y + k.vy * (1 - k.stopped) * ahead_s});
}

double position_sigma_m(const telemetry::Motion &m, double ahead_s) {
  telemetry::KalmanState k = m.kalman;
  if (k.updates == 0) return 0;
  advance(ahead_s, k);
  return std::sqrt(k.p_pos);
}

}  // namespace vectorshard::predict
