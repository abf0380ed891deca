// Motion: bytes round-trip, foreign bytes are refused. Intake: what is refused and why, what is derived.
#include <gtest/gtest.h>

#include <limits>

#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using namespace vectorshard::telemetry;

namespace {

constexpr double kNow = 1.7e9;

Motion at(double lat, double lon, double when) {
  Motion m;
  take({when, lat, lon, {}, {}}, 1, m);
  return m;
}

}  // namespace

TEST(Motion, RoundTripsThroughBytes) {
  Motion m = at(37.7, -122.4, kNow);
  take({kNow + 60, 37.71, -122.41, 12.5, 315.0}, 7, m);
  m.kalman.p_vel = 3.25;
  m.kalman.resets = 9;
  auto back = decode_motion(encode(m));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(encode(back.value()), encode(m));
  EXPECT_EQ(back.value().serving, 7);
  EXPECT_EQ(back.value().kalman.resets, 9u);
  EXPECT_EQ(back.value().speed_mps, 12.5);
}

// What an older release left in the table, or a node that is not upgraded yet sends: the fields that it had.
TEST(Motion, ReadsOlderFormats) {
  constexpr size_t kFields = 1 + 22 * 8 + 2 * 4 + 4 + 8, kTrail = 5 * 8 + 2 * 4 + 20;
  Motion m = at(37.7, -122.4, kNow);
  take({kNow + 60, 37.71, -122.41, 12.5, 315.0}, 7, m);
  m.trail.note({kNow, 12, 7}, 1);
  m.habit.last_s = kNow;
  std::string bytes = encode(m);
  for (auto [format, size] : {std::pair<char, size_t>{1, kFields}, {2, kFields + kTrail}}) {
    std::string older = bytes.substr(0, size);
    older[0] = format;
    auto back = decode_motion(older);
    ASSERT_TRUE(back.ok()) << int{format};
    EXPECT_EQ(back.value().speed_mps, 12.5);
    EXPECT_EQ(back.value().serving, 7);
    EXPECT_EQ(back.value().trail.count, format == 2 ? 1 : 0);
    EXPECT_EQ(back.value().habit.last_s, 0) << "nothing is known of it";
    EXPECT_FALSE(decode_motion(older + "x").ok());
  }
}

TEST(Motion, RefusesForeignBytes) {
  std::string good = encode(at(1, 2, kNow));
  EXPECT_FALSE(decode_motion("").ok());
  for (size_t n = 0; n < good.size(); n++) EXPECT_FALSE(decode_motion(good.substr(0, n)).ok()) << n;
  EXPECT_FALSE(decode_motion(good + "x").ok());
  std::string other = good;
  other[0] = 99;
  EXPECT_FALSE(decode_motion(other).ok());
  std::string nan = good;
  for (int i = 9; i < 17; i++) nan[static_cast<size_t>(i)] = '\xff';
  EXPECT_FALSE(decode_motion(nan).ok());
}

TEST(Intake, RefusesMalformedValues) {
  double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(check_wellformed({kNow, 90, -180, 0.0, 360.0}).ok());
  EXPECT_EQ(check_wellformed({kNow, 90.5, 0, {}, {}}).error().message, "latitude out of range");
  EXPECT_EQ(check_wellformed({kNow, 0, 181, {}, {}}).error().message, "longitude out of range");
  EXPECT_FALSE(check_wellformed({kNow, nan, 0, {}, {}}).ok());
  EXPECT_FALSE(check_wellformed({kNow, 0, inf, {}, {}}).ok());
  EXPECT_FALSE(check_wellformed({kNow, 0, 0, -1.0, {}}).ok());
  EXPECT_FALSE(check_wellformed({kNow, 0, 0, nan, {}}).ok());
  EXPECT_FALSE(check_wellformed({kNow, 0, 0, 1.0, 361.0}).ok());
}

TEST(Intake, RefusesImplausibleReports) {
  IntakeLimits limits;
  Motion none, known = at(37.7, -122.4, kNow - 10);
  EXPECT_EQ(check_plausible({kNow + 6, 37, -122, {}, {}}, none, kNow, limits), Refusal::future);
  EXPECT_EQ(check_plausible({kNow - 301, 37, -122, {}, {}}, none, kNow, limits), Refusal::late);
  EXPECT_EQ(check_plausible({kNow, 37, -122, limits.max_speed_mps + 1, {}}, none, kNow, limits), Refusal::too_fast);
  EXPECT_EQ(check_plausible({kNow - 10, 37.7, -122.4, {}, {}}, known, kNow, limits), Refusal::duplicate);
  EXPECT_EQ(check_plausible({kNow - 11, 37.7, -122.4, {}, {}}, known, kNow, limits), Refusal::late);
  EXPECT_EQ(check_plausible({kNow, 38.7, -122.4, {}, {}}, known, kNow, limits), Refusal::too_fast);
  EXPECT_EQ(check_plausible({kNow, 37.701, -122.4, {}, {}}, known, kNow, limits), std::nullopt);
}

TEST(Intake, DerivesSpeedHeadingAndInterval) {
  Motion m = at(0, 0, kNow);
  take({kNow + 10, 0, 100 / kMetresPerDegree, {}, {}}, 1, m);  // 100 m east
  EXPECT_NEAR(m.speed_mps, 10, 0.01);
  EXPECT_NEAR(m.heading_deg, 90, 0.01);
  EXPECT_NEAR(m.interval_s, 10, 1e-9);
  take({kNow + 20, -100 / kMetresPerDegree, 100 / kMetresPerDegree, {}, {}}, 1, m);  // 100 m south
  EXPECT_NEAR(m.heading_deg, 180, 0.01);
  take({kNow + 30, -100 / kMetresPerDegree, 100 / kMetresPerDegree, {}, {}}, 1, m);
  EXPECT_EQ(m.heading_deg, -1);
  EXPECT_EQ(m.speed_mps, 0);
}

TEST(Intake, CrossesTheDateLine) {
  Motion m = at(0, 179.9995, kNow);
  take({kNow + 10, 0, -179.9995, {}, {}}, 1, m);
  EXPECT_NEAR(m.speed_mps, 11.1, 0.1);
  EXPECT_NEAR(m.heading_deg, 90, 0.1);
}

TEST(Intake, AGapBeginsASessionAndKeepsTheInterval) {
  Motion m = at(0, 0, kNow);
  take({kNow + 60, 0, 0.001, {}, {}}, 1, m);
  take({kNow + 600, 0, 0.002, {}, {}}, 1, m);
  EXPECT_EQ(m.session_s, kNow + 600);
  EXPECT_EQ(m.interval_s, 60);
}

TEST(Intake, TellsParkedClients) {
  Motion m = at(37.7, -122.4, kNow);
  for (int i = 1; i <= 5; i++) {
    EXPECT_EQ(parked(m), i > 4) << i;
    double jitter = (i % 2) * 20 / kMetresPerDegree;
    take({kNow + 60 * i, 37.7 + jitter, -122.4, {}, {}}, 1, m);
  }
  EXPECT_TRUE(parked(m));
  take({kNow + 360, 37.702, -122.4, {}, {}}, 1, m);
  EXPECT_FALSE(parked(m));
}

TEST(Intake, NotesWhoServes) {
  Motion m = at(0, 0, kNow);
  EXPECT_EQ(m.serving_since_s, kNow);
  take({kNow + 10, 0, 0, {}, {}}, 1, m);
  EXPECT_EQ(m.serving_since_s, kNow);
  take({kNow + 20, 0, 0, {}, {}}, 2, m);
  EXPECT_EQ(m.serving, 2);
  EXPECT_EQ(m.serving_since_s, kNow + 20);
}

TEST(Intake, AHandoverTellsWhoServesAndForgetsThePosition) {
  IntakeLimits limits;
  Motion m = at(37.7, -122.4, kNow - 60);
  EXPECT_EQ(check_time(kNow - 60, m, kNow, limits), Refusal::duplicate);
  EXPECT_EQ(check_time(kNow - 61, m, kNow, limits), Refusal::late);
  EXPECT_EQ(check_time(kNow, m, kNow, limits), std::nullopt);
  take_handover(kNow, 2, m);
  EXPECT_EQ(m.serving, 2);
  EXPECT_EQ(m.serving_since_s, kNow);
  EXPECT_EQ(m.reports, 0u);
  // The next position may be anywhere, and gives no speed.
  Report far{kNow + 10, -10, 20, {}, {}};
  EXPECT_EQ(check_plausible(far, m, kNow + 10, limits), std::nullopt);
  take(far, 2, m);
  EXPECT_EQ(m.speed_mps, 0);
  EXPECT_EQ(m.serving_since_s, kNow);
  EXPECT_EQ(m.session_s, kNow - 60) << "it was never gone: its habits go on";
}

TEST(Intake, HandoversAloneAreOneSessionThoughTheyAreHoursApart) {
  Motion m;
  take_handover(kNow, 1, m);
  EXPECT_EQ(m.session_s, kNow);
  take_handover(kNow + 9 * 3600, 2, m);
  EXPECT_EQ(m.session_s, kNow);
  take_handover(kNow + 36 * 3600, 1, m);
  EXPECT_EQ(m.session_s, kNow + 36 * 3600);
}

TEST(Intake, WhatAnotherNodeKnewGoesOnHere) {
  Motion there;
  take_handover(kNow, 1, there);
  there.habit.here = 1;
  there.habit.session_s = kNow;
  there.habit.moves[0] = {3, 2, 1, 7, 0, 0, 0};
  Motion here;
  take_handover(kNow + 600, 2, here);
  EXPECT_TRUE(go_on_from(there, here));
  EXPECT_EQ(here.habit.moves[0].times, 7);
  EXPECT_EQ(here.session_s, kNow) << "one session";
  EXPECT_EQ(here.serving, 2);
  here.habit.moves[1] = {2, 1, 2, 1, 0, 0, 0};  // learned here since
  EXPECT_FALSE(go_on_from(there, here));
  Motion later;
  take_handover(kNow + 36 * 3600, 2, later);
  EXPECT_TRUE(go_on_from(there, later));
  EXPECT_EQ(later.session_s, kNow + 36 * 3600) << "another session";
  EXPECT_FALSE(go_on_from(later, here)) << "of later";
  EXPECT_FALSE(go_on_from(Motion{}, here));
}
