// Habits: learned as they happen, order 2 before order 1, ends of sessions, dwell, hours, and a memory that does not grow.
#include <gtest/gtest.h>

#include <cmath>

#include "core/place/areas.hpp"
#include "core/predict/forecast.hpp"
#include "core/predict/habit.hpp"
#include "core/telemetry/intake.hpp"

namespace vectorshard::predict {
namespace {

constexpr double kMonday = 4 * 86400;  // 1970-01-05, midnight at longitude 0

/// A client that is moved about by hand.
class Habits : public ::testing::Test {
 protected:
  void session(double at_s) { m_.session_s = at_s; }
  void at(NodeId node, double at_s) {
    if (m_.serving != node || m_.session_s == at_s) m_.serving_since_s = at_s;
    m_.serving = node;
    m_.at_s = at_s;
    learn_habit(m_);
  }
  /// From `nodes` in turn, `dwell_s` on each.
  void trip(double at_s, std::initializer_list<NodeId> nodes, double dwell_s) {
    session(at_s);
    for (NodeId n : nodes) {
      at(n, at_s);
      at(n, at_s += dwell_s - 1);
      at_s += 1;
    }
  }
  Candidate of(NodeId node, double ready_s, double until_s) const {
    for (const Candidate &c : by_habit(m_, ready_s, until_s).candidates)
      if (c.node == node) return c;
    return {};
  }
  double arrivals(NodeId node, double ready_s, double until_s) const { return of(node, ready_s, until_s).rate_per_s * (until_s - ready_s); }

  telemetry::Motion m_;
};

TEST_F(Habits, NothingIsToldOfAStranger) {
  EXPECT_EQ(by_habit(m_, 0, 600).evidence, 0);
  session(kMonday);
  at(1, kMonday);
  EXPECT_EQ(by_habit(m_, 0, 600).evidence, 0);
}

TEST_F(Habits, WhatWasMadeBeforeIsExpectedWhenItsTimeComes) {
  for (int day = 0; day < 5; day++) trip(kMonday + day * 86400 + 28800, {1, 2, 3}, 400);
  double now = kMonday + 7 * 86400 + 28800;
  session(now);
  at(1, now);
  // On node 2 after 400 s, on node 3 after 800 s.
  EXPECT_GT(arrivals(2, 300, 500), 0.6);
  EXPECT_LT(arrivals(2, 0, 100), 0.1);
  EXPECT_GT(arrivals(3, 600, 1100), 0.5);
  EXPECT_LT(arrivals(3, 0, 400), 0.15);
  EXPECT_NEAR(of(2, 0, 1000).median_s, 400, 40);
  EXPECT_LT(of(2, 0, 1000).earliest_s, 400);
  // A minute before it is due, node 2 is near; long after, the habit has little left to say.
  double before = by_habit(m_, 0, 600).evidence;
  at(1, now + 340);
  EXPECT_GT(arrivals(2, 0, 120), 0.6);
  at(1, now + 3000);
  EXPECT_LT(by_habit(m_, 0, 600).evidence, before / 10);
}

TEST_F(Habits, TheNodeBeforeTellsWhichWayItGoes) {
  for (int day = 0; day < 5; day++) {
    trip(kMonday + day * 86400 + 10800, {1, 2, 3}, 300);
    trip(kMonday + day * 86400 + 14400, {4, 2, 5}, 300);
  }
  double now = kMonday + 7 * 86400 + 10800;
  trip(now, {1}, 300);
  at(2, now + 300);
  EXPECT_GT(arrivals(3, 0, 1000), 2.5 * arrivals(5, 0, 1000));
  // From a node it never came from, both are as likely: order 1.
  now += 3600;
  trip(now, {9}, 300);
  at(2, now + 300);
  EXPECT_NEAR(arrivals(3, 0, 1000), arrivals(5, 0, 1000), 0.1);
  EXPECT_GT(arrivals(3, 0, 1000), 0.2);
}

TEST_F(Habits, AnEndOfTheTripIsAnOutcome) {
  for (int i = 0; i < 8; i++) trip(kMonday + i * 10000, i % 4 ? std::initializer_list<NodeId>{1, 2} : std::initializer_list<NodeId>{1, 2, 3}, 300);
  double now = kMonday + 100000;
  trip(now, {1}, 300);
  at(2, now + 300);
  EXPECT_LT(arrivals(3, 0, 2000), 0.4);  // three of four trips ended here
}

TEST_F(Habits, MovesOfThisTimeOfTheDayCountMore) {
  for (int day = 0; day < 10; day++) {
    if (day % 7 >= 5) continue;
    trip(kMonday + day * 86400 + 7 * 3600, {1, 2}, 300);
    trip(kMonday + day * 86400 + 19 * 3600, {1, 3}, 300);
  }
  for (int hour : {7, 19}) {
    double now = kMonday + 14 * 86400 + hour * 3600;
    session(now);
    at(1, now);
    NodeId due = hour == 7 ? 2 : 3, other = hour == 7 ? 3 : 2;
    EXPECT_GT(arrivals(due, 0, 1000), 2 * arrivals(other, 0, 1000)) << hour;
  }
}

TEST_F(Habits, TheMemoryIsOfFixedSizeAndKeepsWhatIsMadeOften) {
  NodeId stranger = 10;
  for (int i = 0; i < 200; i++) {
    trip(kMonday + i * 20000, {1, 2}, 300);
    trip(kMonday + i * 20000 + 10000, {stranger, stranger + 1}, 300);
    stranger += 2;
  }
  double now = kMonday + 200 * 20000;
  session(now);
  at(1, now);
  EXPECT_GT(arrivals(2, 0, 1000), 0.6);
  for (const telemetry::HabitMove &m : m_.habit.moves) EXPECT_LE(m.times, 4096);
}

TEST_F(Habits, TheSameReportAgainChangesNothing) {
  trip(kMonday, {1, 2}, 300);
  telemetry::Habit before = m_.habit;
  learn_habit(m_);
  EXPECT_EQ(telemetry::encode(m_), [&] {
    telemetry::Motion copy = m_;
    copy.habit = before;
    return telemetry::encode(copy);
  }());
}

TEST_F(Habits, TravelWithTheMotion) {
  for (int i = 0; i < 3; i++) trip(kMonday + i * 10000, {1, 2, 3}, 300);
  auto back = telemetry::decode_motion(telemetry::encode(m_));
  ASSERT_TRUE(back.ok());
  telemetry::Motion stayed = m_;
  m_ = back.value();
  EXPECT_EQ(telemetry::encode(m_), telemetry::encode(stayed));
  double now = kMonday + 50000;
  session(now);
  at(1, now);
  EXPECT_GT(arrivals(2, 0, 1000), 0.5);
}

TEST_F(Habits, OneWithoutAPositionIsForecastByThemAlone) {
  // 1, 2 and 3 in turn, ten minutes on each.
  for (int round = 0; round < 4; round++)
    for (NodeId n : {1, 2, 3}) {
      telemetry::take_handover(kMonday + (3 * round + n) * 600, n, m_);
      learn_habit(m_);
    }
  telemetry::take_handover(kMonday + 13 * 600, 1, m_);
  learn_habit(m_);
  place::NodeMap nowhere;
  auto at_age = [&](double age_s) {
    telemetry::Motion still = m_;
    still.at_s += age_s;
    return Forecast::candidates(still, 1, nowhere, 5, {});
  };
  auto fresh = at_age(0), due = at_age(585), over = at_age(1200);
  ASSERT_FALSE(fresh.empty());
  EXPECT_EQ(fresh[0].node, 2);
  EXPECT_EQ(fresh[0].rate_per_s, 0) << "much later";
  EXPECT_GT(fresh[0].earliest_s, 200);
  EXPECT_LT(fresh[0].earliest_s, 600);
  ASSERT_FALSE(due.empty());
  EXPECT_EQ(due[0].node, 2);
  EXPECT_GT(due[0].rate_per_s, 0.003);
  EXPECT_LT(due[0].median_s, 100);
  for (auto &c : over) EXPECT_LT(c.rate_per_s, due[0].rate_per_s) << "it stays longer than it ever did";
}

}  // namespace
}  // namespace vectorshard::predict
