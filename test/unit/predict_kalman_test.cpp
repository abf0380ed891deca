// The filter finds the velocity from positions alone, at any report interval, and survives jumps and the date line.
#include "core/predict/kalman.hpp"

#include <gtest/gtest.h>

#include <random>

#include "core/predict/reach_set.hpp"
#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using telemetry::kMetresPerDegree;
using telemetry::Motion;
using telemetry::Report;

namespace {

constexpr double kStart = 1.7e9;

void feed(Motion &m, const Report &r) {
  telemetry::take(r, 1, m);
  predict::observe(r, m);
}

Report equator(double t, double x, double y) { return {kStart + t, y / kMetresPerDegree, x / kMetresPerDegree, {}, {}}; }

TEST(Kalman, TellsAStopFromAPauseInReports) {
  telemetry::Motion m;
  double at = 1000, lon = 10;
  auto report = [&](double metres) {
    lon += metres / telemetry::kMetresPerDegree;
    telemetry::Report r{at += 5, 0, lon, {}, {}};
    telemetry::take(r, 1, m);
    predict::observe(r, m);
  };
  for (int i = 0; i < 20; i++) report(50);  // 10 m/s
  EXPECT_LT(m.kalman.stopped, 0.05);
  EXPECT_NEAR(predict::velocity(m).east, 10, 1);
  for (int i = 0; i < 12; i++) report(i % 2 ? 3 : -3);  // it stands for a minute
  EXPECT_GT(m.kalman.stopped, 0.7);
  EXPECT_LT(std::fabs(predict::velocity(m).east), 0.5);
  for (int i = 0; i < 6; i++) report(50);
  EXPECT_LT(m.kalman.stopped, 0.2);
  EXPECT_GT(predict::velocity(m).east, 7);
}

}  // namespace

TEST(Kalman, FindsVelocityUnderNoise) {
  for (double dt : {1.0, 10.0, 60.0}) {
    std::mt19937 random(7);
    std::normal_distribution<double> noise(0, 10);
    Motion m;
    for (int i = 0; i < 40; i++) feed(m, equator(i * dt, 8 * i * dt + noise(random), -6 * i * dt + noise(random)));
    auto v = predict::velocity(m);
    EXPECT_NEAR(v.east, 8, dt < 5 ? 2.5 : 1) << dt;
    EXPECT_NEAR(v.north, -6, dt < 5 ? 2.5 : 1) << dt;
    EXPECT_EQ(m.kalman.resets, 1u) << dt;
  }
}

TEST(Kalman, TakesReportedVelocityAtOnce) {
  Motion m;
  Report r = equator(0, 0, 0);
  r.speed_mps = 20;
  r.heading_deg = 90;
  feed(m, r);
  EXPECT_NEAR(predict::velocity(m).east, 20, 1e-6);
  auto p = predict::position_after(m, 30);
  EXPECT_NEAR(p.lon * kMetresPerDegree, 600, 1);
}

TEST(Kalman, AJumpBeginsAnewWithoutWildVelocity) {
  Motion m;
  for (int i = 0; i < 30; i++) feed(m, equator(i, 5 * i, 0));
  feed(m, equator(30, 150, 2500));
  EXPECT_EQ(m.kalman.resets, 2u);
  EXPECT_LT(std::hypot(predict::velocity(m).east, predict::velocity(m).north), 1);
  for (int i = 31; i < 60; i++) feed(m, equator(i, 5 * i, 2500));
  EXPECT_NEAR(predict::velocity(m).east, 5, 1.5);
}

TEST(Kalman, FollowsAnAircraftAcrossTheDateLine) {
  Motion m;
  for (int i = 0; i < 60; i++) {
    double lon = 179.5 + 250.0 * 10 * i / kMetresPerDegree;
    feed(m, {kStart + 10 * i, 0, lon > 180 ? lon - 360 : lon, {}, {}});
  }
  EXPECT_NEAR(predict::velocity(m).east, 250, 5);
  EXPECT_EQ(m.kalman.resets, 1u);
  EXPECT_LT(std::abs(m.kalman.x), 60000);
}

TEST(Kalman, AnAircraftThatTurnsKeepsItsSpeed) {
  // 230 m/s, a report each 10 s without speed and heading; half a circle at two degrees a second, in which no velocity holds.
  for (double interval : {5., 10., 30.}) {
    Motion m;
    double east = 0, north = 0, heading = 90, at = 0;
    auto fly = [&](double seconds, double turn_per_s) {
      for (double t = 0; t < seconds; t += interval) {
        for (double dt = 0; dt < interval; dt += 0.5, heading += turn_per_s / 2) {
          east += 115 * std::sin(telemetry::radians(heading));
          north += 115 * std::cos(telemetry::radians(heading));
        }
        feed(m, equator(at += interval, east, north));
      }
    };
    fly(200, 0);
    fly(90, 2);
    EXPECT_GT(std::hypot(predict::velocity(m).east, predict::velocity(m).north), 100) << "reports each " << interval << " s";
    fly(90, 0);
    EXPECT_NEAR(predict::velocity(m).east, -230, 30) << "reports each " << interval << " s";
  }
}

TEST(Kalman, PathRunsAheadAndParkedClientsStay) {
  Motion m;
  for (int i = 0; i < 10; i++) feed(m, equator(10 * i, 100 * i, 0));
  auto path = predict::path(m, 60, 6);
  ASSERT_EQ(path.size(), 7u);
  EXPECT_NEAR((path.back().lon - path.front().lon) * kMetresPerDegree, 600, 60);
  for (int i = 1; i < 10; i++) feed(m, equator(90 + 60 * i, 900, 0));
  path = predict::path(m, 60, 2);
  EXPECT_EQ(path.front().lon, path.back().lon);
}

TEST(Kalman, UncertaintyGrowsWithTheLookAhead) {
  Motion m;
  EXPECT_EQ(predict::position_sigma_m(m, 60), 0);
  for (int i = 0; i < 30; i++) feed(m, equator(10 * i, 80 * i, 0));
  double now = predict::position_sigma_m(m, 0), soon = predict::position_sigma_m(m, 10), later = predict::position_sigma_m(m, 60);
  EXPECT_GT(now, 1);
  EXPECT_LT(now, 20);
  EXPECT_LT(now, soon);
  EXPECT_LT(soon, later);
}

TEST(Path, NoneWithoutAPosition) {
  Motion m;
  feed(m, equator(0, 0, 0));
  EXPECT_EQ(predict::path(m, 60, 3).size(), 4u);
  telemetry::take_handover(kStart + 10, 1, m);
  EXPECT_TRUE(predict::path(m, 60, 3).empty());
}
