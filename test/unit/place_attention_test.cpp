// Who is looked at without a report: when it may be near, when what was too early is due; nobody who is not served any more.
#include "core/place/attention.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;
using namespace vectorshard::place;

namespace {

telemetry::Motion reporting_each(double interval_s) {
  telemetry::Motion m;
  m.at_s = 1000;
  m.interval_s = interval_s;
  m.reports = 9;
  return m;
}

}  // namespace

TEST(Attention, OneThatIsFarIsLookedAtWhenItMayBeNear) {
  // 10 km at 50 m/s take 200 s; a copy of 10 s and a look-ahead of 60 s begin before.
  EXPECT_DOUBLE_EQ(look_again_s(reporting_each(60), {1000, 10, 60, 10000, 50, {}}), 1130);
  EXPECT_DOUBLE_EQ(look_again_s(reporting_each(60), {1150, 10, 60, 10000, 50, {}}), 1151) << "not in the past";
  EXPECT_EQ(look_again_s(reporting_each(60), {1000, 10, 60, 20000, 50, {}}), 0) << "it is not served for so long";
}

TEST(Attention, OneThatIsNearIsPredictedAnewWhileItIsServed) {
  EXPECT_DOUBLE_EQ(look_again_s(reporting_each(60), {1010, 10, 60, 0, 50, {}}), 1025);
  EXPECT_DOUBLE_EQ(look_again_s(reporting_each(1), {1010, 10, 20, 0, 50, {}}), 1015);
  EXPECT_EQ(look_again_s(reporting_each(1), {1028, 10, 20, 0, 50, {}}), 0);
}

TEST(Attention, OneWithoutAPositionIsLookedAtWhenWhatIsForeseenIsDue) {
  telemetry::Motion m = reporting_each(0);
  m.reports = 0;
  EXPECT_EQ(look_again_s(m, {1000, 10, 20, 0, 0, {}}), 0);
  EXPECT_DOUBLE_EQ(look_again_s(m, {1100, 10, 20, 0, 0, {{2, 20, 20, 0.1, 0.0001}}}), 1105) << "it may become likelier any moment";
  EXPECT_DOUBLE_EQ(look_again_s(m, {2000, 10, 20, 0, 0, {{2, 20, 20, 0.1, 0.0001}}}), 2020) << "and the longer it rests, the slower";
  EXPECT_DOUBLE_EQ(look_again_s(m, {1100, 10, 20, 0, 0, {{2, 930, 1000, 0.5, 0.01}}}), 2000);
  EXPECT_EQ(look_again_s(m, {1100, 10, 20, 0, 0, {{2, 7000, 7000, 0.5, 0.01}}}), 8070);
  EXPECT_EQ(look_again_s(m, {1100, 10, 20, 0, 0, {{2, 90000, 90000, 0.5, 0.01}}}), 0);
}
