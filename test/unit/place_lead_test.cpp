// Lead times: what is fitted from copies that came, and what adds up to the time until a copy is ready.
#include "core/place/lead.hpp"

#include <gtest/gtest.h>

namespace vectorshard::place {
namespace {

TEST(PathMeter, TellsSetUpAndBandwidthApart) {
  PathMeter m;
  EXPECT_FALSE(m.copied());
  EXPECT_EQ(copy_s(m.path(), 1e6), 0);
  for (int i = 0; i < 200; i++) {
    double bytes = 1e4 * (1 + i % 16);
    m.note_copy(bytes, 0.05 + bytes / 1e6);
  }
  Path p = m.path();
  EXPECT_NEAR(p.setup_s, 0.05, 1e-6);
  EXPECT_NEAR(p.bytes_per_s, 1e6, 1);
  EXPECT_NEAR(copy_s(p, 3e6), 3.05, 1e-3);
}

TEST(PathMeter, CopiesOfOneSizeSayNothingOfBandwidth) {
  PathMeter m;
  for (int i = 0; i < 50; i++) m.note_copy(1000, 0.1);
  EXPECT_NEAR(m.path().setup_s, 0.1, 1e-9);
  EXPECT_EQ(m.path().bytes_per_s, 0);
}

TEST(PathMeter, WhatComesAllFromBytesHasNoSetUp) {
  PathMeter m;
  for (double b : {1e5, 2e5, 4e5}) m.note_copy(b, b / 1e5 - 0.5);
  EXPECT_EQ(m.path().setup_s, 0);
  EXPECT_GT(m.path().bytes_per_s, 0);
}

TEST(PathMeter, FollowsALinkThatBecomesSlow) {
  PathMeter m;
  for (int i = 0; i < 100; i++) m.note_copy(1e5 * (1 + i % 4), 0.01 + (1 + i % 4) * 0.01);
  for (int i = 0; i < 300; i++) m.note_copy(1e5 * (1 + i % 4), 0.01 + (1 + i % 4) * 0.1);
  EXPECT_NEAR(m.path().bytes_per_s, 1e6, 2e4);
  m.note_rtt(0.010);
  m.note_rtt(0.020);
  EXPECT_NEAR(m.path().rtt_s, 0.012, 1e-9);
}

TEST(Lead, AddsRoundTripsBytesQueueAndThaw) {
  LeadInput in{{0.1, 0.3, 1e6}, 2e6, 4, 60, 99, 1};
  EXPECT_DOUBLE_EQ(lead_s(in), 0.3 + 2 + 4 + 60);
  in.path.setup_s = 0.1;  // less than two round trips
  EXPECT_DOUBLE_EQ(lead_s(in), 0.2 + 2 + 4 + 60);
}

TEST(Lead, WithoutMeasureWhatCopiesTookElsewhere) {
  LeadInput in;
  in.fallback_s = 7;
  in.least_s = 1;
  EXPECT_DOUBLE_EQ(lead_s(in), 7);
  in.fallback_s = 0;
  EXPECT_DOUBLE_EQ(lead_s(in), 1);
  in.path = {0, 0.01, 0};
  in.fallback_s = 7;
  EXPECT_DOUBLE_EQ(lead_s(in), 1) << "the least counts, not what is measured elsewhere";
}

TEST(NearestSource, TheHomeUnlessAHolderIsMuchNearer) {
  Source far{1, {0.2, 0.6, 1e6}};
  EXPECT_EQ(nearest_source(far, {}, 1e5, 0.05), 1);
  EXPECT_EQ(nearest_source(far, {{2, {}}}, 1e5, 0.05), 1) << "of which nothing is known";
  EXPECT_EQ(nearest_source(far, {{2, {0.001, 0, 0}}}, 1e5, 0.05), 2) << "the round trip is enough to try it";
  EXPECT_EQ(nearest_source(far, {{2, {0.001, 0, 0}}}, 1e5, 0.6), 1) << "unless copies are slow everywhere";
  EXPECT_EQ(nearest_source(far, {{2, {0.1, 0.2, 1e6}}, {3, {0.01, 0.1, 1e6}}}, 1e5, 0.1), 3);
  EXPECT_EQ(nearest_source(far, {{2, {0.1, 0.5, 1e6}}}, 1e5, 0.1), 1) << "a little nearer is not worth asking twice";
  EXPECT_EQ(nearest_source({1, {0.001, 0.05, 1e8}}, {{2, {0.0001, 0.001, 1e8}}}, 1e3, 0.001), 1);
  EXPECT_EQ(nearest_source({1, {}}, {{2, {0.0001, 0.001, 1e8}}}, 1e3, 0.001), 1) << "a home that was not measured";
}

TEST(LeadClasses, FewAndNeverTooShort) {
  EXPECT_EQ(lead_classes({5, 5, 5}, 4), std::vector<double>{5});
  auto classes = lead_classes({1, 1.2, 5, 6, 40}, 4);
  EXPECT_EQ(classes, (std::vector<double>{1.2, 6, 40}));
  EXPECT_EQ(class_of(classes, 1), 1.2);
  EXPECT_EQ(class_of(classes, 5), 6);
  EXPECT_EQ(class_of(classes, 40), 40);
  EXPECT_EQ(lead_classes({1, 10, 100, 1000}, 2), (std::vector<double>{100, 1000})) << "short leads are rounded up";
}

}  // namespace
}  // namespace vectorshard::place
