// The version clock: monotone, unique by node, above what it replaces, never behind the wall clock.
#include "core/base/version.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;

TEST(Version, CarriesTimeAndNode) {
  Version v = next_version(kVersionEpochUnixMs + 5000, 0, 0, 7);
  EXPECT_EQ(version_unix_ms(v), kVersionEpochUnixMs + 5000);
  EXPECT_EQ(version_node(v), 7);
}

TEST(Version, GrowsWithinOneMillisecondAndFlowsOver) {
  Version high = 0;
  for (int i = 0; i < 10000; i++) {
    Version v = next_version(kVersionEpochUnixMs + 1, high, 0, 1023);
    ASSERT_GT(v, high);
    ASSERT_EQ(version_node(v), 1023);
    high = v;
  }
  EXPECT_GT(version_unix_ms(high), kVersionEpochUnixMs + 1);
}

TEST(Version, NeverGoesBackWithTheWallClock) {
  Version a = next_version(kVersionEpochUnixMs + 90000, 0, 0, 1);
  EXPECT_GT(next_version(kVersionEpochUnixMs + 10, a, 0, 1), a);
}

TEST(Version, IsAboveTheReplacedRowOfAnotherNode) {
  Version theirs = next_version(kVersionEpochUnixMs + 90000, 0, 0, 1023);
  EXPECT_GT(next_version(kVersionEpochUnixMs + 10, 0, theirs, 1), theirs);
}
