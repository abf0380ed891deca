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

TEST(HomeOffer, ANodeThatWasRemovedBeforeItAnswered) {
  AskedStanding here{true, kHome, 5};
  EXPECT_EQ(epoch_after_lost_target(here, kHome, 5), 7) << "what the removed node may have been was 6";
  here.epoch = 7;
  EXPECT_EQ(epoch_after_lost_target(here, kHome, 5), 7) << "the answer was lost";
  EXPECT_EQ(epoch_after_lost_target({true, kOther, 4}, kHome, 5), 7) << "the registrar has not heard of this home yet";
  EXPECT_EQ(epoch_after_lost_target({}, kHome, 5), 7);
  EXPECT_EQ(epoch_after_lost_target({true, kSelf, 6}, kHome, 5), 0) << "the removed node was the home";
  EXPECT_EQ(epoch_after_lost_target({true, kOther, 7}, kHome, 5), 0) << "and another is it now";
}
