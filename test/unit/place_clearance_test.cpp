// Clearance: within it the same node serves, whatever the map; it is not far below the truth; whoever cannot get so far is no
// predictor's candidate for another node.
#include "core/place/clearance.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/predict/forecast.hpp"
#include "core/predict/kalman.hpp"
#include "core/predict/local_frame.hpp"
#include "core/predict/reach_bound.hpp"
#include "core/predict/reach_set.hpp"
#include "core/telemetry/intake.hpp"

using namespace vectorshard;
using namespace vectorshard::place;
using telemetry::radians;

namespace {

class Random {
 public:
  explicit Random(unsigned seed) : random_(seed) {}
  double in(double from, double to) { return std::uniform_real_distribution<>(from, to)(random_); }
  size_t below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }

 private:
  std::mt19937 random_;
};

predict::Position beside(double lat, double lon, double angle, double metres) {
  double sine = std::sin(metres / (telemetry::kMetresPerDegree * 180 / telemetry::kPi)), cosine = std::sqrt(1 - sine * sine);
  double to = std::asin(std::sin(radians(lat)) * cosine + std::cos(radians(lat)) * sine * std::cos(angle));
  double turn = std::atan2(std::sin(angle) * sine * std::cos(radians(lat)), cosine - std::sin(radians(lat)) * std::sin(to));
  return {to * 180 / telemetry::kPi, std::remainder(lon + turn * 180 / telemetry::kPi, 360)};
}

Ring polygon(Random &random, double lat, double lon, double size) {
  Ring ring;
  size_t corners = 3 + random.below(6);
  for (size_t i = 0; i < corners; i++) {
    double angle = 2 * telemetry::kPi * static_cast<double>(i) / static_cast<double>(corners), r = size * random.in(0.3, 1);
    ring.push_back({std::clamp(lat + r * std::sin(angle), -89., 89.), std::clamp(lon + r * std::cos(angle), -179.9, 179.9)});
  }
  return ring;
}

struct World {
  std::vector<NodeSite> sites;
  double lat, lon, span;
};

/// Towns to continents, few and many sites, at the equator and far north, across the date line; every third with polygons.
World world(unsigned n, Random &random) {
  World w{{}, std::vector<double>{37.7, 0, 62, -55}[n % 4], n % 5 == 4 ? 179 : 10., std::vector<double>{0.1, 1, 6, 40}[n / 4 % 4]};
  for (size_t i = 1; i <= 2 + 9 * (n % 8); i++) {
    NodeSite s{static_cast<NodeId>(i), "", false, std::clamp(w.lat + random.in(-w.span, w.span), -85., 85.), std::remainder(w.lon + random.in(-w.span, w.span), 360), {}};
    if (n % 3 == 0 && i % 2 == 0) s.coverage.push_back(polygon(random, s.lat, s.lon, w.span / 3));
    w.sites.push_back(std::move(s));
  }
  return w;
}

predict::Position somewhere(const World &w, Random &random) {
  return {std::clamp(w.lat + random.in(-1.3, 1.3) * w.span, -89., 89.), std::remainder(w.lon + random.in(-1.3, 1.3) * w.span, 360)};
}

}  // namespace

TEST(Clearance, WithinItTheSameNodeServes) {
  Random random(1);
  for (unsigned n = 0; n < 96; n++) {
    World w = world(n, random);
    NodeMap map(w.sites);
    Clearance clearance(map);
    for (int i = 0; i < 150; i++) {
      auto p = somewhere(w, random);
      NodeId node = map.node_at(p.lat, p.lon);
      double exact = map.clear_of_others_m(p.lat, p.lon), quick = clearance.metres(map, p.lat, p.lon, node, random.in(0, 3000));
      for (int k = 0; k < 24; k++) {
        double angle = random.in(0, 7), share = k % 3 == 0 ? 1 : random.in(0, 1);
        for (double clear : {exact, quick}) {
          if (clear == 0) continue;  // nothing is claimed
          auto q = beside(p.lat, p.lon, angle, share * clear);
          ASSERT_EQ(map.node_at(q.lat, q.lon), node) << "world " << n << " at " << p.lat << ", " << p.lon << ", " << share * clear << " m on of " << clear;
        }
      }
      EXPECT_EQ(clearance.metres(map, p.lat, p.lon, node + 1, 100), 0);
    }
  }
}

TEST(Clearance, IsNotFarBelowTheTruth) {
  Random random(2);
  double told = 0, there = 0;
  for (unsigned n = 0; n < 48; n++) {
    World w = world(n, random);
    NodeMap map(w.sites);
    for (int i = 0; i < 40; i++) {
      auto p = somewhere(w, random);
      NodeId node = map.node_at(p.lat, p.lon);
      double least = 100000;
      for (int a = 0; a < 64; a++)  // the way to the border in each direction
        for (double step = least / 50, at = step; at < least; at += step) {
          auto q = beside(p.lat, p.lon, a * telemetry::kPi / 32, at);
          if (map.node_at(q.lat, q.lon) != node) least = at;
        }
      if (std::fabs(p.lat) > 65) continue;
      told += map.clear_of_others_m(p.lat, p.lon) / least;
      there += 1;
    }
  }
  EXPECT_GT(told / there, 0.7);
}

TEST(Clearance, NothingIsKnownOfAnEmptyMapAndBesideThePoles) {
  NodeMap none;
  EXPECT_EQ(Clearance(none).metres(none, 1, 1, 2, 100), 0);
  NodeMap one({NodeSite{2, "", true, 0, 0, {}}});
  EXPECT_EQ(one.clear_of_others_m(89, 0), 0);
  EXPECT_GT(Clearance(one).metres(one, 50, 50, 2, 100), 100);
  EXPECT_EQ(Clearance().metres(one, 50, 50, 3, 100), 0);
}

TEST(ReachBound, NoPredictorHasCandidatesBeyondIt) {
  Random random(3);
  int cleared = 0, candidates = 0;
  predict::Ways ways;
  for (int i = 0; i < 3000; i++)
    ways.learn(static_cast<int>(random.below(predict::kWayClasses)), {static_cast<float>(random.in(-20, 40)), static_cast<float>(random.in(-20, 20))});
  predict::ReachBound bound(ways);
  for (unsigned n = 0; n < 64; n++) {
    World w = world(n, random);
    NodeMap map(w.sites);
    for (int i = 0; i < 60; i++) {
      auto p = somewhere(w, random);
      telemetry::Motion m;
      double speed = random.below(3) == 0 ? 0 : random.in(0, 40), heading = random.in(0, 360), interval = random.in(1, 90);
      for (int k = 0; k < 4; k++) {
        auto at = beside(p.lat, p.lon, radians(heading), k * interval * speed);
        telemetry::Report r{1e9 + k * interval, at.lat, at.lon, speed, heading};
        telemetry::take(r, 1, m);
        predict::observe(r, m);
      }
      double lead = random.in(0, 60), margin = random.in(0, 60);
      NodeId serving = map.node_at(m.lat, m.lon);
      double reach = bound.metres(m, predict::ReachBound::horizon_s(m, lead, margin));
      predict::Forecast::Learned learned{ways.of(predict::way_class(m, speed)), {}};
      bool any = !predict::reach_set(m, serving, map, lead + predict::look_ahead_s(m, margin)).empty() ||
                 !predict::Forecast::candidates(m, serving, map, lead, learned).empty();
      candidates += any;
      if (map.clear_of_others_m(m.lat, m.lon) < reach) continue;
      cleared++;
      ASSERT_FALSE(any) << "world " << n << " at " << m.lat << ", " << m.lon << ", reach " << reach;
    }
  }
  EXPECT_GT(cleared, 300);
  EXPECT_GT(candidates, 300);
}
