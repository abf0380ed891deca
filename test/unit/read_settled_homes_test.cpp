// Random histories of homes that move, and questions whose snapshots lie anywhere among their steps: whenever the answers are called
// settled, each client was answered for exactly once. And they are called settled once the moves have ended.
#include "core/read/settled_homes.hpp"

#include <gtest/gtest.h>

using namespace vectorshard;
using namespace vectorshard::read;

namespace {

constexpr int kNodes = 4;
constexpr int64_t kWindow = 200, kFresh = 100, kMostSkew = 40;

/// What a node commits about a client at a time, by the clock of the world.
struct Commit {
  int64_t time;
  int64_t epoch = 0;  // of its row from then on; 0: as before
  NodeId home = kNoNode;
  NodeId taken_from = kNoNode;
  bool step = false;    // noted in home_event
  NodeId asked = kNoNode;
  bool answered = false;  // no node is asked any more
};

/// One client: its commits at each node.
struct Story {
  std::string client;
  std::map<NodeId, std::vector<Commit>> at;
};

/// Moves one after the other; each step may take long, and the former home may learn of the new one by the stream first.
Story tell(std::mt19937 &rng, int number, int64_t end) {
  Story s{"car" + std::to_string(number), {}};
  auto within = [&](int64_t most) { return std::uniform_int_distribution<int64_t>(1, most)(rng); };
  NodeId home = static_cast<NodeId>(within(kNodes));
  int64_t time = within(end / 2), epoch = 1;
  for (NodeId n = 1; n <= kNodes; n++) s.at[n].push_back({-1000000, 1, home});
  while (time < end) {
    NodeId to = static_cast<NodeId>(within(kNodes - 1));
    if (to >= home) to++;
    int64_t slow = within(3) == 1 ? 300 : 10;
    s.at[home].push_back({time, 0, kNoNode, kNoNode, true, to});
    time += within(slow);
    s.at[to].push_back({time, epoch + 1, to, home, true});
    int64_t streamed = time + within(within(3) == 1 ? 300 : 20);
    int64_t gave = time + within(slow);
    if (streamed < gave) s.at[home].push_back({streamed, epoch + 1, to});
    s.at[home].push_back({gave, epoch + 1, to, kNoNode, true, kNoNode, true});
    for (NodeId n = 1; n <= kNodes; n++)
      if (n != home && n != to) s.at[n].push_back({streamed + within(20), epoch + 1, to});
    home = to;
    epoch++;
    time = gave + within(within(4) == 1 ? 400 : 30);
  }
  return s;
}

struct Seen {
  bool claims = false;
  std::vector<HomeMark> marks;
};

/// What home_marks() gives under a snapshot at `time` by the world's clock, by a node whose clock is off by `skew`.
Seen look(const Story &s, NodeId node, int64_t time, int64_t asked_at, int64_t skew) {
  HomeMark now{s.client};
  std::vector<HomeMark> steps;
  NodeId asked = kNoNode;
  int64_t asked_since = 0;
  auto commits = s.at.at(node);
  std::stable_sort(commits.begin(), commits.end(), [](auto &a, auto &b) { return a.time < b.time; });
  for (const Commit &c : commits) {
    if (c.time > time) break;
    if (c.epoch > now.epoch) now.epoch = c.epoch, now.home = c.home;
    if (c.asked) asked = c.asked, asked_since = c.time;
    if (c.answered) asked = kNoNode;
    HomeMark step{s.client, 0, kNoNode, c.taken_from, c.taken_from ? c.epoch : 0, kNoNode, c.time + skew >= asked_at - kFresh};
    if (c.step && c.time + skew >= asked_at - kWindow) steps.push_back(step);
  }
  if (asked) steps.push_back({s.client, 0, kNoNode, kNoNode, 0, asked, asked_since + skew >= asked_at - kFresh});
  for (HomeMark &m : steps) m.epoch = now.epoch, m.home = now.home;
  return {now.home == node, steps};
}

}  // namespace

TEST(SettledHomes, WhatIsCalledSettledWasAnsweredForOnce) {
  std::mt19937 rng(20261129);
  auto within = [&](int64_t least, int64_t most) { return std::uniform_int_distribution<int64_t>(least, most)(rng); };
  int settled = 0, wrong_and_told = 0, told_in_vain = 0;
  for (int round = 0; round < 20000; round++) {
    std::vector<Story> stories;
    for (int i = 0; i < 3; i++) stories.push_back(tell(rng, i, 1500));
    NodeId asker = static_cast<NodeId>(within(1, kNodes + 1));  // one of them, or one that is no home
    int64_t asked_at = within(0, 1500);
    std::map<NodeId, std::vector<HomeMark>> answers;
    std::map<std::string, int> answered;
    std::map<std::string, bool> here;
    for (const Story &s : stories) here[s.client] = asker <= kNodes && look(s, asker, asked_at, asked_at, 0).claims;
    for (NodeId n = 1; n <= kNodes; n++) {
      if (n == asker) continue;
      int64_t snapshot = asked_at + within(0, 15), skew = within(-kMostSkew / 2, kMostSkew / 2);
      answers[n];
      for (const Story &s : stories) {
        Seen seen = look(s, n, snapshot, asked_at, skew);
        if (!here[s.client]) answered[s.client] += seen.claims;
        answers[n].insert(answers[n].end(), seen.marks.begin(), seen.marks.end());
      }
    }
    auto home_now = [&](const std::string &client) {
      for (const Story &s : stories)
        if (s.client == client && asker <= kNodes && look(s, asker, asked_at + 15, asked_at, 0).claims) return asker;
      return kNoNode;
    };
    bool once = true;
    for (const Story &s : stories) once = once && (here[s.client] || answered[s.client] == 1);
    Homes verdict = judge_homes(answers, asker, [&](const std::string &c) { return here[c]; }, home_now);
    if (verdict == Homes::settled) EXPECT_TRUE(once) << "round " << round;
    settled += verdict == Homes::settled;
    wrong_and_told += verdict != Homes::settled && !once;
    told_in_vain += verdict != Homes::settled && once;
  }
  EXPECT_GT(settled, 10000);
  EXPECT_GT(wrong_and_told, 500) << "the histories are too tame";
  EXPECT_LT(told_in_vain, 6000);
}

TEST(SettledHomes, NothingTold) {
  auto never = [](const std::string &) { return false; };
  auto nobody = [](const std::string &) { return kNoNode; };
  EXPECT_EQ(judge_homes({{1, {}}, {2, {}}}, 3, never, nobody), Homes::settled);
  HomeMark gave{"a b", 2, 2, kNoNode, 0, kNoNode, true};
  EXPECT_EQ(judge_homes({{1, {gave}}, {2, {}}}, 3, never, nobody), Homes::moving) << "node 2 does not know of it";
  EXPECT_EQ(judge_homes({{1, {gave}}}, 3, never, nobody), Homes::settled) << "node 2 was not asked";
  EXPECT_EQ(judge_homes({{1, {gave}}}, 2, never, [](const std::string &) { return NodeId{2}; }), Homes::came);
  EXPECT_EQ(judge_homes({{1, {gave}}}, 2, [](const std::string &) { return true; }, nobody), Homes::settled);
}

TEST(SettledHomes, Text) {
  auto m = parse_home_mark("7 2 1 7 0 1 car 9");
  ASSERT_TRUE(m.ok());
  EXPECT_EQ(m.value().client, "car 9");
  EXPECT_EQ(m.value().epoch, 7);
  EXPECT_EQ(m.value().taken_from, 1);
  EXPECT_TRUE(m.value().fresh);
  for (const char *bad : {"", "1 2 3", "x 2 1 7 0 1 car", "7 2 1 7 0 car", "7  1 7 0 1 car"}) EXPECT_FALSE(parse_home_mark(bad).ok()) << bad;
}
