// Intake and filter under a million reports of every sort, malformed, late, doubled, far and near, on the date line and at the
// poles: each is refused or taken by the rules, and what is remembered stays valid. Prints its seed: FUZZ_SEED replays it,
// FUZZ_REPORTS sets how many.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>

#include "core/predict/kalman.hpp"
#include "core/predict/reach_set.hpp"
#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using namespace vectorshard::telemetry;

namespace {

constexpr double kNow = 1.7e9;
constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const IntakeLimits kLimits;

uint64_t number_from(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Metres by the chord of unit vectors: another way than the product's.
double metres(double lat1, double lon1, double lat2, double lon2) {
  auto unit = [](double lat, double lon) {
    double a = radians(lat), l = radians(lon);
    return std::array<double, 3>{std::cos(a) * std::cos(l), std::cos(a) * std::sin(l), std::sin(a)};
  };
  auto a = unit(lat1, lon1), b = unit(lat2, lon2);
  double chord = std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
  return kMetresPerDegree * 180 / kPi * 2 * std::asin(std::min(1.0, chord / 2));
}

class Quarters : public predict::NodeAt {
 public:
  NodeId node_at(double lat, double lon) const override {
    EXPECT_LE(std::fabs(lat), 90);
    EXPECT_LE(std::fabs(lon), 180);
    return 1 + (lat > 0) + 2 * (lon > 0);
  }
};

/// A client, and what the test itself holds of it.
struct Client {
  Motion motion;
  double lat = 0, lon = 0, heading = 0, speed = 0;
};

class Fuzz {
 public:
  explicit Fuzz(uint64_t seed) : random_(seed), clients_(300) {
    for (size_t i = 0; i < clients_.size(); i++) place(clients_[i], i % 5);
  }

  void round() {
    now_ += real(0, 0.05);
    Client &c = clients_[random_() % clients_.size()];
    Report r = mutated(drive(c), c.motion.at_s);
    bool wellformed = std::isfinite(r.lat) && std::isfinite(r.lon) && std::fabs(r.lat) <= 90 && std::fabs(r.lon) <= 180 &&
                      (!r.speed_mps || (std::isfinite(*r.speed_mps) && *r.speed_mps >= 0)) &&
                      (!r.heading_deg || (*r.heading_deg >= 0 && *r.heading_deg <= 360));
    auto ok = check_wellformed(r);
    ASSERT_EQ(ok.ok(), wellformed);
    if (!ok) {
      ASSERT_FALSE(ok.error().message.empty());
      malformed++;
      return;
    }
    Motion before = c.motion;
    auto refusal = check_plausible(r, c.motion, now_, kLimits);
    ASSERT_EQ(std::memcmp(&before, &c.motion, sizeof before), 0);
    check_refusal(refusal, r, before);
    if (refusal) return;
    accepted++;
    take(r, 1, c.motion);
    predict::observe(r, c.motion);
    check_valid(c.motion);
    ASSERT_EQ(c.motion.at_s, r.at_s);
    ASSERT_EQ(c.motion.lat, r.lat);
    ASSERT_EQ(c.motion.lon, r.lon);
    ASSERT_EQ(c.motion.reports, before.reports + 1);
    c.lat = r.lat;
    c.lon = r.lon;
  }

  uint64_t accepted = 0, malformed = 0;
  std::array<uint64_t, kRefusalCount> refused{};

 private:
  double real(double from, double to) { return std::uniform_real_distribution<double>(from, to)(random_); }
  bool once_in(uint64_t n) { return random_() % n == 0; }

  void place(Client &c, size_t kind) {
    c.lat = kind == 0 ? 89.999 : kind == 1 ? -89.999 : kind == 2 ? real(-60, 60) : real(-90, 90);
    c.lon = kind == 2 ? 179.999 : real(-180, 180);
    c.heading = real(0, 360);
    c.speed = kind == 4 ? real(0, 300) : real(0, 40);
  }

  /// The next report of a client that goes its way, sometimes without speed or heading.
  Report drive(Client &c) {
    double dt = std::max(0.0, now_ - c.motion.at_s);
    if (c.motion.at_s == 0) dt = 1;
    double way = c.speed * std::min(dt, 100.0) / kMetresPerDegree;
    c.lat += way * std::cos(radians(c.heading));
    if (c.lat > 90) c.lat = 180 - c.lat, c.lon += 180, c.heading = 180;
    if (c.lat < -90) c.lat = -180 - c.lat, c.lon += 180, c.heading = 0;
    c.lon = std::remainder(c.lon + way * std::sin(radians(c.heading)) / std::max(1e-6, std::cos(radians(c.lat))), 360.0);
    Report r{now_, c.lat, c.lon, {}, {}};
    if (!once_in(3)) r.speed_mps = c.speed;
    if (!once_in(3)) r.heading_deg = c.heading;
    if (once_in(20)) c.heading = real(0, 360);
    if (once_in(50)) c.speed = once_in(2) ? 0 : real(0, 40);
    return r;
  }

  double odd_number() {
    static const double odd[] = {kNan, kInf, -kInf, 0.0, -0.0, 90, -90, 180, -180, 360, 90.0000001, -180.0000001, 360.5, -1, 1e-310, 1e308, -1e308, 340, 341};
    return odd[random_() % std::size(odd)];
  }

  Report mutated(Report r, double before_s) {
    switch (random_() % 24) {
      case 0: r.lat = odd_number(); break;
      case 1: r.lon = odd_number(); break;
      case 2: r.speed_mps = odd_number(); break;
      case 3: r.heading_deg = odd_number(); break;
      case 4: r.at_s -= real(0, 400); break;
      case 5: r.at_s += real(0, 20); break;
      case 6: r.at_s = once_in(2) ? -6.2e10 : 2.5e11; break;
      case 7: r.lat += real(-0.1, 0.1); break;
      case 8: r.lon = std::remainder(r.lon + real(-1, 1), 360.0); break;
      case 9: r.lat = once_in(2) ? 90 : -90; break;
      case 10: r.lon = once_in(2) ? 180 : -180; break;
      case 11: r.at_s = before_s; break;
      default: break;
    }
    return r;
  }

  void check_refusal(std::optional<Refusal> refusal, const Report &r, const Motion &m) {
    if (refusal) refused[static_cast<size_t>(*refusal)]++;
    if (r.at_s > now_ + kLimits.max_ahead_s) {
      ASSERT_EQ(refusal, Refusal::future);
    } else if (r.at_s < now_ - kLimits.max_age_s || r.at_s < m.at_s) {
      ASSERT_EQ(refusal, Refusal::late);
    } else if (r.at_s == m.at_s) {
      ASSERT_EQ(refusal, Refusal::duplicate);
    } else if (r.speed_mps && *r.speed_mps > kLimits.max_speed_mps) {
      ASSERT_EQ(refusal, Refusal::too_fast);
    } else if (m.reports == 0) {
      ASSERT_EQ(refusal, std::nullopt);
    } else {
      double way = metres(m.lat, m.lon, r.lat, r.lon), may = kLimits.max_speed_mps * (r.at_s - m.at_s) + 100;
      if (std::fabs(way - may) > may * 0.01 + 2) {
        ASSERT_EQ(refusal.has_value(), way > may);
      }
    }
  }

  void check_valid(const Motion &m) {
    auto &k = m.kalman;
    for (double v : {m.at_s, m.lat, m.lon, m.speed_mps, m.heading_deg, m.interval_s, m.pace_mps, m.session_s, k.anchor_lat, k.anchor_lon,
                     k.x, k.y, k.vx, k.vy, k.p_pos, k.p_cross, k.p_vel, k.at_s, m.stay.lat, m.stay.lon, m.stay.since_s})
      ASSERT_TRUE(std::isfinite(v));
    ASSERT_TRUE(m.speed_mps >= 0 && m.interval_s >= 0 && m.pace_mps >= 0);
    ASSERT_TRUE(m.heading_deg == -1 || (m.heading_deg >= 0 && m.heading_deg <= 360));
    ASSERT_TRUE(k.p_pos > 0 && k.p_vel > 0 && k.p_pos * k.p_vel >= k.p_cross * k.p_cross * 0.999);
    ASSERT_LE(std::hypot(k.vx, k.vy), 2 * kLimits.max_speed_mps);
    auto ahead = predict::position_after(m, 60);
    ASSERT_TRUE(std::fabs(ahead.lat) <= 90 && std::fabs(ahead.lon) <= 180);
    if (!once_in(64)) return;
    auto back = decode_motion(encode(m));
    ASSERT_TRUE(back.ok());
    ASSERT_EQ(encode(back.value()), encode(m));
    for (auto &candidate : predict::reach_set(m, 1, Quarters(), 60)) ASSERT_TRUE(candidate.confidence >= 0 && candidate.confidence <= 1.0001);
    for (auto &p : predict::path(m, 60, 4)) ASSERT_TRUE(std::fabs(p.lat) <= 90 && std::fabs(p.lon) <= 180);
  }

  std::mt19937_64 random_;
  std::vector<Client> clients_;
  double now_ = kNow;
};

/// Ten metres a second straight over a pole, a report each ten seconds; `sign` 1: north.
Motion over_the_pole(double sign, double slower_than) {
  IntakeLimits limits;
  limits.max_speed_mps = slower_than;
  Motion m;
  for (int i = -100; i <= 100; i++) {
    double off = std::abs(i) * 100 / kMetresPerDegree;
    Report r{kNow + 10 * i, sign * (90 - off), i < 0 ? 10.0 : -170.0, {}, {}};
    auto refusal = check_plausible(r, m, r.at_s, limits);
    EXPECT_EQ(refusal, std::nullopt) << i;
    take(r, 1, m);
    predict::observe(r, m);
    if (i > -100) {
      EXPECT_NEAR(m.speed_mps, 10, 0.1) << i;
    }
    if (i > -100 && i != 0) {
      EXPECT_NEAR(m.heading_deg, (i < 0) == (sign > 0) ? 0 : 180, 0.5) << i;
    }
    if (i <= -70) continue;
    double then = (i + 6) * 100 / kMetresPerDegree;
    auto p = predict::position_after(m, 60);
    EXPECT_LT(metres(p.lat, p.lon, sign * (90 - std::fabs(then)), then < 0 ? 10 : -170), 60) << i;
  }
  return m;
}

}  // namespace

TEST(TelemetryFuzz, AMillionReportsLeaveEveryStateValid) {
  uint64_t seed = number_from("FUZZ_SEED", std::random_device{}()), reports = number_from("FUZZ_REPORTS", 1000000);
  printf("telemetry fuzz: FUZZ_SEED=%llu FUZZ_REPORTS=%llu\n", static_cast<unsigned long long>(seed), static_cast<unsigned long long>(reports));
  Fuzz fuzz(seed);
  for (uint64_t i = 0; i < reports; i++) {
    ASSERT_NO_FATAL_FAILURE(fuzz.round()) << "report " << i << " of seed " << seed;
  }
  EXPECT_GT(fuzz.accepted, reports / 3);
  EXPECT_GT(fuzz.malformed, reports / 50);
  for (Refusal r : {Refusal::late, Refusal::future, Refusal::duplicate, Refusal::too_fast}) EXPECT_GT(fuzz.refused[static_cast<size_t>(r)], reports / 1000) << refusal_name(r);
  EXPECT_EQ(fuzz.refused[static_cast<size_t>(Refusal::malformed)], 0u) << "what is malformed is an error here; the server may refuse it";
}

TEST(TelemetryFuzz, PolesAreWalkedOver) {
  for (double sign : {1.0, -1.0}) {
    Motion m = over_the_pole(sign, 12);
    EXPECT_EQ(m.kalman.resets, 1u);
    auto v = predict::velocity(m);
    EXPECT_NEAR(v.north, -10 * sign, 0.5);
    EXPECT_NEAR(v.east, 0, 0.5);
  }
}

TEST(TelemetryFuzz, DistancesAndCoursesHoldEverywhere) {
  std::mt19937_64 random(3);
  std::uniform_real_distribution<double> lat(-90, 90), lon(-180, 180), near(-0.5, 0.5);
  for (int i = 0; i < 100000; i++) {
    double a = lat(random), b = lon(random), c = i % 2 ? lat(random) : std::clamp(a + near(random), -90.0, 90.0);
    double d = i % 2 ? lon(random) : std::remainder(b + near(random), 360.0);
    double right = metres(a, b, c, d);
    ASSERT_NEAR(distance_m(a, b, c, d), right, right * 0.01 + 0.01) << a << ' ' << b << ' ' << c << ' ' << d;
    double course = course_deg(a, b, c, d);
    ASSERT_TRUE(course >= 0 && course <= 360);
  }
  EXPECT_NEAR(distance_m(0, 179.999, 0, -179.999), 0.002 * kMetresPerDegree, 1);
  EXPECT_NEAR(course_deg(0, 179.999, 0, -179.999), 90, 0.01);
  EXPECT_NEAR(course_deg(0, -179.999, 0, 179.999), 270, 0.01);
  EXPECT_NEAR(distance_m(90, 0, 90, 123), 0, 1e-6);
  EXPECT_NEAR(distance_m(90, 0, -90, 0), 180 * kMetresPerDegree, 1);
}
