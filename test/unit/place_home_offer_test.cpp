// Handing a home over: what the new home answers.
#include "core/place/home_offer.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;
using namespace vectorshard::place;

namespace {
constexpr NodeId kSelf = 2, kHome = 1, kOther = 3;
AskedStanding holder() { return {true, kHome, 5, true, false, false}; }
}  // namespace

TEST(HomeOffer, OnlyACompleteHolderBecomesHome) {
  AskedStanding here = holder();
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::ok);
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, false), Answer::send);
  here.leaving = true;
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::leaving);
  here.resident = false;
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::absent);
}

TEST(HomeOffer, TheClientMayNotBeKnownYet) {
  AskedStanding here{false, kNoNode, 0, true, false, false};
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::ok);
  here = holder();
  here.epoch = 3;
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::ok);
}

TEST(HomeOffer, AskedAgainItSaysTheSame) {
  AskedStanding here{true, kSelf, 6, true, false, false};
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, false), Answer::ok);
  here.resident = false;  // gone to a store since
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, false), Answer::ok);
}

TEST(HomeOffer, ADeposedHomeCannotGiveItAway) {
  AskedStanding here = holder();
  here.home = kOther;
  here.epoch = 6;
  EXPECT_EQ(answer_to_offer(here, kSelf, 5, true), Answer::not_home);
}
