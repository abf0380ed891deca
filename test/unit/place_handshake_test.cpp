// What a home answers, which statement of a holder counts, and who takes rows of a client.
#include <gtest/gtest.h>

#include "core/apply/residency_rules.hpp"
#include "core/base/holder.hpp"
#include "core/place/handshake.hpp"

using namespace vectorshard;
using namespace vectorshard::place;

TEST(Handshake, OnlyTheHomeOfTheEpochReleasesACopy) {
  AskedStanding home{true, 1, 5, true, false, false};
  EXPECT_EQ(answer_to_leaver(home, 1, 5, true), Answer::ok);
  EXPECT_EQ(answer_to_leaver(home, 1, 5, false), Answer::send);
  EXPECT_EQ(answer_to_leaver(home, 1, 4, true), Answer::not_home);
  EXPECT_EQ(answer_to_leaver(home, 2, 5, true), Answer::not_home);
  EXPECT_EQ(answer_to_leaver({true, 1, 5, true, true, false}, 1, 5, true), Answer::leaving);
  EXPECT_EQ(answer_to_leaver({true, 1, 5, false, false, true}, 1, 5, true), Answer::cold);
  EXPECT_EQ(answer_to_leaver({true, 1, 5, false, false, false}, 1, 5, true), Answer::absent);
}

TEST(Handshake, ACopyComesFromWhoHoldsTheRows) {
  EXPECT_EQ(answer_to_announcement({}, 1), Answer::unknown);
  EXPECT_EQ(answer_to_announcement({true, 1, 1, true, false, false, false}, 1), Answer::stranger);
  EXPECT_EQ(after_announcement(Answer::stranger), AfterAnnouncement::again_soon);
  EXPECT_EQ(answer_to_announcement({true, 1, 1, true}, 1), Answer::live);
  EXPECT_EQ(answer_to_announcement({true, 1, 1, true}, 2), Answer::holder);
  EXPECT_EQ(answer_to_announcement({true, 1, 1, true, true}, 2), Answer::not_home);
  EXPECT_EQ(after_announcement(Answer::live), AfterAnnouncement::copy);
  EXPECT_EQ(after_announcement(Answer::holder), AfterAnnouncement::copy);
  EXPECT_EQ(after_announcement(Answer::cold), AfterAnnouncement::again_soon);
  EXPECT_EQ(after_announcement(Answer::not_home), AfterAnnouncement::give_up);
}

TEST(Handshake, WordsAndAnswersAreOne) {
  for (Answer a : {Answer::unknown, Answer::stranger, Answer::live, Answer::holder, Answer::leaving, Answer::cold, Answer::absent,
                   Answer::not_home, Answer::send, Answer::ok})
    EXPECT_EQ(answer_of(word(a)), a);
}

TEST(Holder, AStatementNeverGoesBack) {
  using S = HolderState;
  EXPECT_TRUE(replaces({S::copying, 9, 9}, {S::none, 0, 0}));
  EXPECT_TRUE(replaces({S::copying, 9, 9}, {S::gone, 8, 20}));
  EXPECT_FALSE(replaces({S::gone, 8, 0}, {S::live, 9, 9}));
  EXPECT_TRUE(replaces({S::gone, 9, 0}, {S::live, 9, 10}));
  EXPECT_FALSE(replaces({S::live, 9, 10}, {S::gone, 9, 10}));
  EXPECT_FALSE(replaces({S::copying, 9, 11}, {S::live, 9, 10}));
  EXPECT_TRUE(replaces({S::live, 9, 12}, {S::cold, 9, 11}));
  EXPECT_FALSE(replaces({S::live, 9, 10}, {S::cold, 9, 11}));
}

TEST(Residency, WhoTakesRows) {
  using namespace vectorshard::apply;
  EXPECT_EQ(receipt({true, false, false, HolderState::live, 1}, 2), Receipt::take);
  EXPECT_EQ(receipt({true, true, false, HolderState::live, 1}, 2), Receipt::copying);
  EXPECT_EQ(receipt({false, false, false, HolderState::copying, 1}, 2), Receipt::copying);
  EXPECT_EQ(receipt({false, false, false, HolderState::gone, 1}, 2), Receipt::gone);
  EXPECT_EQ(receipt({false, false, true, HolderState::cold, 2}, 2), Receipt::cold);
  EXPECT_EQ(receipt({false, false, false, HolderState::none, 2}, 2), Receipt::become_resident);
  EXPECT_EQ(may_write(true, false, false), Write::go);
  EXPECT_EQ(may_write(true, true, true), Write::leaving);
  EXPECT_EQ(may_write(false, false, true), Write::fetch);
  EXPECT_EQ(may_write(false, false, false), Write::absent);
  EXPECT_TRUE(believed(false, false, 0, 1));
  EXPECT_FALSE(believed(true, true, 1, 1));
  EXPECT_FALSE(believed(true, false, 2, 1));
}

TEST(Confirms, OnlyTheHomeThatHoldsTheSame) {
  using namespace vectorshard::place;
  AskedStanding home{true, 1, 5, true, false};
  EXPECT_TRUE(confirms(home, 1, true));
  EXPECT_FALSE(confirms(home, 1, false));
  EXPECT_FALSE(confirms(home, 2, true)) << "another holder";
  home.leaving = true;
  EXPECT_FALSE(confirms(home, 1, true)) << "it goes into a store";
  EXPECT_FALSE(confirms({}, 1, true));
}
