// Merging is commutative, associative and idempotent, over random states; batches keep the newest row of each key in
// an order that does not depend on how they were put together; bisection finds exactly the rows that fail.
#include "core/apply/rules.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

using namespace vectorshard;
using namespace vectorshard::apply;

namespace {

/// A state that merging can produce: few versions, so that collisions and ties are common.
KeyState random_state(std::mt19937 &random) {
  std::uniform_int_distribution<int> version(0, 6);
  return merge({}, {version(random) * 2, version(random) * 2 + 1});
}

}  // namespace

TEST(ApplyRules, MergeIsALattice) {
  std::mt19937 random(20261124);
  for (int i = 0; i < 20000; i++) {
    KeyState a = random_state(random), b = random_state(random), c = random_state(random);
    ASSERT_EQ(merge(a, b), merge(b, a));
    ASSERT_EQ(merge(merge(a, b), c), merge(a, merge(b, c)));
    ASSERT_EQ(merge(a, a), a);
    ASSERT_EQ(merge(merge(a, b), b), merge(a, b));
  }
}

TEST(ApplyRules, TombstoneEndsOlderRowsAlone) {
  EXPECT_EQ(merge({10, 0}, {0, 11}), (KeyState{0, 11}));
  EXPECT_EQ(merge({12, 0}, {0, 11}), (KeyState{12, 11}));
  EXPECT_EQ(merge({0, 11}, {12, 0}), (KeyState{12, 11}));
  EXPECT_FALSE(ends(0, 1));
}

TEST(ApplyRules, HomeMovesBeatLaterVersionsOfAnOlderEpoch) {
  EXPECT_TRUE(beats({2, 30}, {1, 31}));
  EXPECT_TRUE(beats({1, 31}, {1, 30}));
  EXPECT_FALSE(beats({1, 31}, {1, 31}));
}

TEST(ApplyRules, NewestPerKeyDoesNotDependOnOrder) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; round++) {
    std::vector<Keyed> rows;
    std::map<std::string, Rank> newest;
    for (size_t i = 0; i < 40; i++) {
      Keyed k{std::string(1, static_cast<char>('a' + random() % 8)), {static_cast<int64_t>(random() % 2), 0}, i};
      k.rank.version = static_cast<Version>(random() % 1000 * 64 + i);
      newest[k.key] = std::max(newest[k.key], k.rank);
      rows.push_back(k);
    }
    std::shuffle(rows.begin(), rows.end(), random);
    auto kept = newest_per_key(rows);
    ASSERT_EQ(kept.size(), newest.size());
    auto expected = newest.begin();
    for (const Keyed &k : kept) {
      ASSERT_EQ(k.key, expected->first);
      ASSERT_EQ(k.rank, expected->second);
      ++expected;
    }
  }
}

TEST(ApplyRules, BisectFindsExactlyTheRowsThatFail) {
  std::mt19937 random(11);
  for (int round = 0; round < 300; round++) {
    size_t count = random() % 60;
    std::set<size_t> bad, done;
    for (size_t i = 0; i < count; i++)
      if (random() % 12 == 0) bad.insert(i);
    auto failed = bisect(count, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; i++)
        if (bad.count(i)) return false;
      for (size_t i = begin; i < end; i++) EXPECT_TRUE(done.insert(i).second) << "row applied twice";
      return true;
    });
    ASSERT_EQ(std::set<size_t>(failed.begin(), failed.end()), bad);
    ASSERT_EQ(done.size() + bad.size(), count);
  }
}

TEST(ApplyRules, BisectOfACleanBatchIsOneAttempt) {
  int attempts = 0;
  bisect(1000, [&](size_t, size_t) { return ++attempts > 0; });
  EXPECT_EQ(attempts, 1);
}
