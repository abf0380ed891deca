// Which node serves a position: coverage first, then the nearest site, core nodes last.
#include "core/place/areas.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

using namespace vectorshard;
using namespace vectorshard::place;

namespace {

NodeSite site(NodeId node, double lat, double lon, bool core = false, std::vector<Ring> coverage = {}) {
  return {node, "n" + std::to_string(node), core, lat, lon, std::move(coverage)};
}
Ring square(double south, double west, double size) {
  return {{south, west}, {south, west + size}, {south + size, west + size}, {south + size, west}};
}

/// Nearest by comparing all, on the plane of the position.
double nearest_m(const std::vector<NodeSite> &sites, double lat, double lon, NodeId node) {
  for (const NodeSite &s : sites)
    if (s.node == node) return std::hypot((s.lat - lat), std::remainder(s.lon - lon, 360) * std::cos(telemetry::radians(lat)));
  return 1e300;
}

}  // namespace

TEST(NodeMap, NearestSiteAndNoCoreBesideEdges) {
  NodeMap map({site(3, 0, 2), site(1, 0, 0, true), site(2, 0, 1)});
  EXPECT_EQ(map.node_at(0, -5), 2);
  EXPECT_EQ(map.node_at(0, 1.6), 3);
  ASSERT_NE(map.site(1), nullptr);
  EXPECT_EQ(map.site(4), nullptr);
}

TEST(NodeMap, ACoreNodeAloneServes) { EXPECT_EQ(NodeMap({site(1, 0, 0, true)}).node_at(50, 50), 1); }

TEST(NodeMap, NothingServesNothing) { EXPECT_EQ(NodeMap().node_at(0, 0), kNoNode); }

TEST(NodeMap, CoverageWinsAndHolesDoNot) {
  // Node 2 covers a square with a hole in it; node 3 takes what is left; where 4 overlaps 2, the nearer site wins.
  NodeMap map({site(2, 5, 5, false, {square(0, 0, 10), square(4, 4, 2)}), site(3, 50, 50),
               site(4, 9, 9, false, {square(8, 8, 4)})});
  EXPECT_EQ(map.node_at(1, 1), 2);
  EXPECT_EQ(map.node_at(5, 5), 3);
  EXPECT_EQ(map.node_at(20, 20), 3);
  EXPECT_EQ(map.node_at(9.5, 9.5), 4);
  EXPECT_EQ(map.node_at(8.5, 1), 2);
}

TEST(NodeMap, AllCoveredLeavesGaps) {
  NodeMap map({site(2, 5, 5, false, {square(0, 0, 10)})});
  EXPECT_EQ(map.node_at(50, 50), kNoNode);
}

TEST(NodeMap, NearnessWrapsAtTheDateLine) {
  NodeMap map({site(1, 0, 179.9), site(2, 0, 170)});
  EXPECT_EQ(map.node_at(0, -179.9), 1);
}

TEST(NodeMap, TheRasterFindsWhatComparingAllFinds) {
  std::mt19937 random(1);
  for (int map_number = 0; map_number < 60; map_number++) {
    // Towns, countries, a line of sites, sites round the equator, near a pole and across the date line.
    double lat0 = std::vector<double>{37.7, 0, 78, -60, 51}[map_number % 5], span = std::vector<double>{0.05, 1, 10, 50}[map_number % 4];
    double lon0 = map_number % 7 == 0 ? 179 : -122;
    auto in = [&](double around, double width) { return around + width * (std::uniform_real_distribution<>(-0.5, 0.5)(random)); };
    std::vector<NodeSite> sites;
    for (int i = 1; i <= 9 + 10 * (map_number % 8); i++)
      sites.push_back(site(i, std::clamp(in(lat0, map_number % 6 == 5 ? 0 : span), -89., 89.), std::remainder(in(lon0, span), 360)));
    NodeMap map(sites);
    for (int i = 0; i < 300; i++) {
      double lat = std::clamp(in(lat0, 2 * span), -90., 90.), lon = std::remainder(in(lon0, 2 * span), 360);
      double best = 1e300;
      for (const NodeSite &s : sites) best = std::min(best, nearest_m(sites, lat, lon, s.node));
      ASSERT_NEAR(nearest_m(sites, lat, lon, map.node_at(lat, lon)), best, 1e-9) << "map " << map_number << " at " << lat << ", " << lon;
    }
  }
}
