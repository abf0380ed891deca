// Which node is asked: the home while it is near, a copy where that is much nearer, whoever is alive before the dead.
#include "core/read/nearest_source.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;
using namespace vectorshard::read;

TEST(NearestSource, AHomeThatIsNearIsEnough) {
  EXPECT_TRUE(near_enough({1, 0, false}));
  EXPECT_TRUE(near_enough({1, 0.002, false}));
  EXPECT_FALSE(near_enough({1, 0.1, false}));
  EXPECT_FALSE(near_enough({1, 0.002, true}));
}

TEST(NearestSource, ACopyMustBeMuchNearer) {
  EXPECT_EQ(nearest_source({1, 0.1, false}, {}), 1);
  EXPECT_EQ(nearest_source({1, 0.1, false}, {{2, 0.06, false}}), 1);
  EXPECT_EQ(nearest_source({1, 0.1, false}, {{2, 0.06, false}, {3, 0.004, false}, {4, 0.01, false}}), 3);
  EXPECT_EQ(nearest_source({1, 0.002, false}, {{2, 0.0001, false}}), 1);
  EXPECT_EQ(nearest_source({1, 0.1, false}, {{2, 0, false}}), 1) << "never measured";
}

TEST(NearestSource, TheLivingFirst) {
  EXPECT_EQ(nearest_source({1, 0.0001, true}, {{2, 0.3, false}}), 2);
  EXPECT_EQ(nearest_source({1, 0.0001, true}, {{2, 0, false}}), 2);
  EXPECT_EQ(nearest_source({1, 0.1, false}, {{2, 0.001, true}}), 1);
  EXPECT_EQ(nearest_source({1, 0.0001, true}, {{2, 0.001, true}}), 1) << "all dead: the home may be back";
}

TEST(NearestSource, AHomeThatWasAskedInVain) {
  EXPECT_EQ(nearest_source({}, {{2, 0.01, true}, {3, 0.2, false}}), 3);
  EXPECT_EQ(nearest_source({}, {{2, 0.01, true}}), 2);
  EXPECT_EQ(nearest_source({}, {}), kNoNode);
}
