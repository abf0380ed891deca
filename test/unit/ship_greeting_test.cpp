// Greetings: restarts are believed, copies and restored backups are not.
#include "core/ship/greeting.hpp"

#include <gtest/gtest.h>

#include <random>

using namespace vectorshard;
using namespace vectorshard::ship;

namespace {

/// A server as far as greetings see it: its WAL and its boot record.
struct Server {
  int64_t incarnation = 1;
  StartChain chain;
  Lsn position = 1000;

  void start(std::mt19937_64 &random) { add_start(chain, {random(), position}); }
  Greeting greeting() const { return {incarnation, chain, position}; }
};

struct Receiver {
  std::optional<Heard> heard;

  Standing hear(const Server &s) {
    Standing standing = judge(s.greeting(), heard);
    if (standing == Standing::past) return standing;
    bool same = heard && heard->token == s.chain.back().token;
    heard = {s.incarnation, s.chain.back().token, same ? std::max(heard->position, s.position) : s.position};
    return standing;
  }
};

}  // namespace

TEST(Greeting, RestartsAreBelieved) {
  std::mt19937_64 random(1);
  Server s;
  Receiver r;
  s.start(random);
  EXPECT_EQ(r.hear(s), Standing::started);
  EXPECT_EQ(r.hear(s), Standing::known);
  for (int i = 0; i < 200; i++) {
    s.position += random() % 100;
    if (i % 3 != 0) s.start(random);  // some starts are never heard of
    if (i % 5 == 0) {
      EXPECT_NE(r.hear(s), Standing::past) << i;
    }
  }
}

TEST(Greeting, TheRestoredIsPast) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 1000; round++) {
    Server s;
    Receiver r;
    s.start(random);
    r.hear(s);
    s.position += random() % 10;
    Server copy = s;
    if (random() % 2) s.start(random);
    s.position += 1 + random() % 100;
    r.hear(s);
    // It may have run alone for long, with starts of its own, before it is heard.
    for (uint64_t starts = random() % 3; starts > 0; starts--) {
      copy.start(random);
      copy.position += random() % 1000;
    }
    if (copy.chain == s.chain && copy.position >= s.position) continue;
    EXPECT_EQ(r.hear(copy), Standing::past) << round;
    copy.incarnation = 2;
    EXPECT_EQ(r.hear(copy), Standing::started);
    EXPECT_EQ(r.hear(s), Standing::past);
  }
}

TEST(Greeting, OfTwoCopiesTheOneThatIsHeardSecondIsPast) {
  std::mt19937_64 random(3);
  Server s;
  Receiver r;
  s.start(random);
  r.hear(s);
  Server clone = s;
  clone.start(random);
  EXPECT_EQ(r.hear(clone), Standing::started);  // only the address can tell: the caller looks
  EXPECT_EQ(r.hear(s), Standing::past);
}

TEST(Greeting, WhoWasNotHeardForTooLongIsPast) {
  std::mt19937_64 random(4);
  Server s;
  Receiver r;
  s.start(random);
  r.hear(s);
  for (size_t i = 0; i < kChainMax; i++) s.start(random);
  EXPECT_EQ(s.chain.size(), kChainMax);
  EXPECT_EQ(r.hear(s), Standing::past);
}

TEST(Greeting, ChainAsText) {
  StartChain chain{{0xabc, 0x10}, {~uint64_t{0}, 0}};
  EXPECT_EQ(to_text(chain), "abc@10 ffffffffffffffff@0");
  EXPECT_EQ(parse_chain(to_text(chain)).value(), chain);
  EXPECT_TRUE(parse_chain("").value().empty());
  for (const char *bad : {"1", "1@", "@1", "1@2x", "x@1", "1@2  3@4", "11111111111111111@1"}) EXPECT_FALSE(parse_chain(bad).ok()) << bad;
}
