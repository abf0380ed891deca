// Which node serves a position: coverage first, then the nearest site, core nodes last.
#include "core/place/areas.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;
using namespace vectorshard::place;

namespace {

NodeSite site(NodeId node, double lat, double lon, bool core = false, std::vector<Ring> coverage = {}) {
  return {node, "n" + std::to_string(node), core, lat, lon, std::move(coverage)};
}
Ring square(double south, double west, double size) {
  return {{south, west}, {south, west + size}, {south + size, west + size}, {south + size, west}};
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
