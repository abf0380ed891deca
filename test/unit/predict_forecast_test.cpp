// Forecasts: what they learn of ways and places, what they give for whom, and what a trail remembers.
#include "core/predict/forecast.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "core/place/areas.hpp"
#include "core/predict/kalman.hpp"
#include "core/telemetry/intake.hpp"
#include "line_of_sites.hpp"

using namespace vectorshard;
using namespace vectorshard::predict;
using telemetry::Motion;
using telemetry::Trail;

namespace {

constexpr double kLead = 5;

place::NodeMap line() { return place::NodeMap(line_of_sites()); }

/// A forecast with its memory.
struct Memory {
  Ways ways;
  std::vector<Crowd::Place> places = std::vector<Crowd::Place>(1024);
  Forecast forecast{&ways, {places.data(), places.size()}};
  std::vector<Candidate> candidates(const Motion &m, NodeId serving, const place::NodeMap &map, double lead_s) const {
    return Forecast::candidates(m, serving, map, lead_s, forecast.learned(m));
  }
};

/// A client that reports as the extension and the simulator let it.
struct Client {
  Motion motion;
  void report(Memory &memory, const place::NodeMap &map, double at_s, double lat, double lon) {
    Forecast &f = memory.forecast;
    NodeId serving = map.node_at(lat, lon);
    if (motion.reports > 0 && motion.serving != serving && at_s - motion.at_s <= telemetry::kSessionGapS) {
      f.left(motion.trail, at_s);
      f.arrived(motion.trail, motion.serving, serving, at_s, lead_s);
      if (before != kNoNode && before != motion.serving) f.arrived(motion.trail, before, serving, at_s, lead_s);
    }
    if (motion.serving != serving) before = motion.serving;
    telemetry::Report r{at_s, lat, lon, {}, {}};
    telemetry::take(r, serving, motion);
    observe(r, motion);
    f.learn(motion, lead_s);
  }
  double lead_s = kLead;
  NodeId before = kNoNode;  // the node before the last
};

double rate_of(const std::vector<Candidate> &all, NodeId node) {
  for (const Candidate &c : all)
    if (c.node == node) return c.rate_per_s;
  return 0;
}

TEST(Ways, GuessesLeanAheadAndGiveWayToWhatIsLearned) {
  Ways ways;
  Motion m;
  m.at_s = m.stay.since_s = 1000;
  m.pace_mps = 10;
  int c = way_class(m, 10);
  double ahead = 0, aside = 0;
  for (const Way &w : ways.of(c)) {
    ahead += w.ahead_mps;
    aside += w.aside_mps;
  }
  EXPECT_GT(ahead / ways.of(c).count, 2);
  EXPECT_NEAR(aside / ways.of(c).count, 0, 1);
  for (size_t i = 0; i < 16; i++) ways.learn(c, {7, 1});  // enough: the guesses are gone
  for (const Way &w : ways.of(c)) EXPECT_EQ(w.ahead_mps, 7);
  EXPECT_EQ(ways.of(c).count, 16);
  for (size_t i = 0; i < 3 * Ways::kSamples; i++) ways.learn(c, {8, 1});
  EXPECT_EQ(ways.of(c).count, Ways::kSamples);
  ways.learn(-1, {});
  ways.learn(kWayClasses, {});
  m.stay.since_s = 0;  // parked: another class, and nobody moves
  EXPECT_NE(way_class(m, 10), c);
  for (const Way &w : ways.of(way_class(m, 10))) EXPECT_EQ(w.ahead_mps, 0);
}

TEST(Crowd, RemembersForgetsAndHalves) {
  std::vector<Crowd::Place> room(8);
  Crowd crowd(room.data(), room.size());
  PlaceKey a = place_key(10, 20, 1, 0, 5, 150), b = place_key(10, 20, -1, 0, 5, 150), c = place_key(10, 20, 1, 0, 20, 150);
  EXPECT_NE(a, b);
  EXPECT_NE(a, c);
  EXPECT_EQ(a, place_key(10.0001, 20.0001, 1, 0, 5, 150));
  EXPECT_EQ(crowd.find(a), nullptr);
  crowd.stayed(a, 100);
  crowd.moved(a, 7, 1, 0);
  crowd.moved(a, 7, 1, 0);
  crowd.moved(a, 8, 0, 0.5);
  ASSERT_NE(crowd.find(a), nullptr);
  EXPECT_EQ(crowd.find(a)->seconds, 100);
  EXPECT_EQ(crowd.find(a)->moved[0].times, 2);
  EXPECT_EQ(crowd.find(a)->moved[1].soon, 0.5);
  crowd.stayed(a, 30000);
  EXPECT_EQ(crowd.find(a)->seconds, 15050);
  EXPECT_EQ(crowd.find(a)->moved[0].times, 1);
  for (int i = 1; i < 1000; i++) crowd.stayed(place_key(i, 0, 1, 0, 5, 150), i);  // more places than there is room for
  EXPECT_NE(crowd.find(a), nullptr) << "the place of which most is known stays";
}

TEST(Forecast, AheadIsLikelierThanBehindAndNearerThanFar) {
  place::NodeMap map = line();
  Memory f;
  Client c;
  for (int i = 0; i <= 20; i++) c.report(f, map, i * 10, 0, 1.47 + i * 0.0009);  // 10 m/s eastward, then 1.3 km before the border
  auto all = f.candidates(c.motion, 2, map, 100);
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all[0].node, 3);
  EXPECT_GT(all[0].rate_per_s, 5 * rate_of(all, 1));
  EXPECT_GT(all[0].confidence, 0.1);
  EXPECT_GE(all[0].median_s, all[0].earliest_s);
  EXPECT_TRUE(f.candidates(c.motion, 2, map, 1).empty()) << "within a second and the window it gets nowhere";
  EXPECT_TRUE(f.candidates(Motion{}, 2, map, 100).empty()) << "no position is known";
}

TEST(Forecast, LearnsTheWaysOfItsClients) {
  place::NodeMap map = line();
  Memory f, nothing_learned;
  // Everybody drives straight on at 10 m/s, far from any border; the guess reckons with turns and stops.
  for (int n = 0; n < 300; n++) {
    Client c;
    for (int i = 0; i < 12; i++) c.report(f, map, n * 1000 + i * 10, 0, 1.2 + i * 0.0009);
  }
  Client c, other;
  for (int i = 0; i < 6; i++) {  // then 80 m before the border
    c.report(f, map, 1e6 + i * 10, 0, 1.4948 + i * 0.0009);
    other.report(nothing_learned, map, 1e6 + i * 10, 0, 1.4948 + i * 0.0009);
  }
  EXPECT_GT(rate_of(f.candidates(c.motion, 2, map, kLead), 3), 1.2 * rate_of(nothing_learned.candidates(other.motion, 2, map, kLead), 3));
}

TEST(Forecast, LearnsAtAnArrivalForThePlaceWhereTheCopyShouldHaveBegun) {
  place::NodeMap map = line();
  Memory f;
  auto drive = [&](Client &c, double from_s) {  // 100 m/s over the border at 1.5 after 12 s
    for (int i = 0; i <= 8; i++) c.report(f, map, from_s + i * 2, 0, 1.4892 + i * 0.0018);
  };
  for (int n = 0; n < 50; n++) {
    Client c;
    drive(c, n * 1000);
  }
  Client c;
  for (int i = 0; i <= 4; i++) c.report(f, map, 1e6 + i * 2, 0, 1.4892 + i * 0.0018);  // 6 s before the report that is beyond
  Memory nothing_learned;
  EXPECT_GT(rate_of(f.candidates(c.motion, 2, map, kLead), 3), 1.5 * rate_of(nothing_learned.candidates(c.motion, 2, map, kLead), 3));
}

TEST(Forecast, APlaceLearnsOfArrivalsSeveralNodesOn) {
  place::NodeMap map = line();
  Memory f;
  auto drive = [&](Client &c, double from_s, int reports) {  // 500 m/s: an area in 222 s, reports every 20 s
    c.lead_s = 280;
    for (int i = 0; i <= reports; i++) c.report(f, map, from_s + i * 20, 0, -0.1 + i * 0.09);
  };
  for (int n = 0; n < 50; n++) {
    Client c;
    drive(c, n * 10000, 22);
  }
  Client c;
  drive(c, 1e6, 4);  // at 0.26 on node 1: on node 2 (from 0.5 on) in 60 s, on node 3 (from 1.5 on) in 280
  auto all = f.candidates(c.motion, 1, map, c.lead_s);
  EXPECT_GT(rate_of(all, 3), 5 * rate_of(all, 2)) << "node 2 is passed before a copy could be there";
  auto soon = [&](NodeId node) {
    for (const Candidate &k : all)
      if (k.node == node) return k.soon_per_s;
    return 0.0;
  };
  EXPECT_GT(soon(2), 0.001) << "one that is there is kept";
}

TEST(Forecast, GoesOnOverThePole) {
  std::vector<place::NodeSite> sites(2);
  for (int i = 0; i < 2; i++) {
    sites[static_cast<size_t>(i)].node = i + 1;
    sites[static_cast<size_t>(i)].lat = 89;
    sites[static_cast<size_t>(i)].lon = i * 180;
  }
  place::NodeMap map(std::move(sites));
  Memory f;
  Client c;
  for (int i = 0; i <= 10; i++) c.report(f, map, i * 5, 89.95 + i * 0.0045, 0);  // 100 m/s, then 550 m before the pole
  auto all = f.candidates(c.motion, 1, map, kLead);
  EXPECT_GT(rate_of(all, 2), 0.001);
}

TEST(Trail, KeepsWhatALeadNeeds) {
  for (double interval : {0.5, 1.0, 3.4, 5.0, 6.9, 30.0}) {
    Trail t;
    for (int i = 0; i <= 100; i++) {
      double now = i * interval;
      t.note({now, 1, 1}, 20);
      EXPECT_LE(t.count, Trail::kStands);
      EXPECT_EQ(t.last()->at_s, now);
      if (now < 20 + interval + 7) continue;
      const telemetry::Stand *before = t.before(now - 20);
      ASSERT_NE(before, nullptr) << "reports every " << interval << " s";
      EXPECT_GE(before->at_s, now - 20 - std::max(interval, 20.0 / 3));
    }
  }
  EXPECT_EQ(Trail{}.before(1e9), nullptr);
  EXPECT_EQ(Trail{}.last(), nullptr);
}

TEST(Trail, TravelsWithTheMotion) {
  Memory f;
  place::NodeMap map = line();
  Client c;
  for (int i = 0; i < 9; i++) c.report(f, map, 1000 + i * 10, 0, 1.2 + i * 0.001);
  auto back = telemetry::decode_motion(telemetry::encode(c.motion));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back.value().trail.count, c.motion.trail.count);
  EXPECT_EQ(back.value().trail.last()->place, c.motion.trail.last()->place);
  EXPECT_EQ(back.value().trail.anchor.lon, c.motion.trail.anchor.lon);
  // One written before there were trails is read all the same, and begins a trail.
  std::string old = telemetry::encode(Motion{});
  old[0] = 1;
  constexpr size_t kTrailBytes = 5 * 8 + 2 * 4, kHabitBytes = 4 * 8 + 3 * 8 + 4 * 2;  // with the filter's stopped mode
  auto without = telemetry::decode_motion(old.substr(0, old.size() - kTrailBytes - kHabitBytes));
  ASSERT_TRUE(without.ok());
  EXPECT_EQ(without.value().trail.count, 0);
}

}  // namespace
