// The laws of values that merge by type: merging random states, made by random histories of several nodes and mixed with
// deletes, is commutative, associative and idempotent; what nodes add is never lost or counted twice; bytes of a peer
// that are damaged or forged are refused.
#include "core/apply/crdt.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

using namespace vectorshard;
using namespace vectorshard::apply;

namespace {

using Random = std::mt19937;

Crdt merged(const Crdt &a, const Crdt &b) { return merge(a, b).value(); }

Crdt literal(CrdtKind kind, Random &random) {
  if (kind == CrdtKind::counter) {
    Counter c;
    c.base = static_cast<int64_t>(random() % 5) - 2;
    return c;
  }
  if (kind == CrdtKind::text_set) return text_set({std::string(1, static_cast<char>('a' + random() % 3))});
  Register r;
  r.kind = kind;
  if (random() % 4) r.number = std::to_string(static_cast<int>(random() % 7) - 3) + (random() % 2 ? ".5" : "");
  if (r.number == "-0.5" && random() % 2) r.number = "0";
  return r;
}

/// `value` with a pending change, as an operator makes it.
Crdt operated(const Crdt &value, Random &random) {
  if (const auto *c = std::get_if<Counter>(&value)) return plus(*c, static_cast<int64_t>(random() % 9) - 4).value();
  if (const auto *s = std::get_if<TextSet>(&value))
    return changed(*s, {std::string(1, static_cast<char>('a' + random() % 3)), std::string(1, static_cast<char>('a' + random() % 3))},
                   random() % 3 != 0);
  return literal(kind_of(value), random);
}

/// States of one row as several nodes know it, moved by random writes, merges, deletes and new residencies.
class History {
 public:
  History(CrdtKind kind, uint32_t seed) : random_(seed), kind_(kind) {
    for (int n = 0; n < kNodes; n++) {
      states_.push_back(born(literal(kind, random_), 1).value());
      states_.back() = merged(states_.front(), states_.front());
      entry_.push_back({n + 1, 1, 1});
    }
  }
  const Crdt &step() {
    size_t n = random_() % kNodes;
    Crdt &state = states_[n];
    switch (random_() % 16) {
      case 0: state = merged(state, born(literal(kind_, random_), ++version_).value()); break;
      case 1: state = ended(state, ++version_); break;
      case 2: entry_[n].generation++; break;  // evicted and back, with the state of whoever it came from
      case 3: case 4: case 5: case 6: state = merged(state, states_[random_() % kNodes]); break;
      default: state = grown(state, operated(state, random_), entry_[n]).value();
    }
    return state;
  }
  const Crdt &any() { return states_[random_() % kNodes]; }

 private:
  static constexpr int kNodes = 3;
  Random random_;
  CrdtKind kind_;
  std::vector<Crdt> states_;
  std::vector<EntryKey> entry_;
  Version version_ = 1;
};

constexpr CrdtKind kKinds[] = {CrdtKind::counter, CrdtKind::text_set, CrdtKind::max_register, CrdtKind::min_register};

void check_laws(const Crdt &a, const Crdt &b, const Crdt &c) {
  Crdt ab = merged(a, b);
  ASSERT_EQ(ab, merged(b, a));
  ASSERT_EQ(merged(ab, c), merged(a, merged(b, c)));
  ASSERT_EQ(merged(a, a), a);
  ASSERT_EQ(merged(ab, b), ab);
}

}  // namespace

// A million triples: 250 histories a kind, 1000 triples each. Sanitized, where all is ten times slower, a tenth.
#ifdef __SANITIZE_ADDRESS__
constexpr uint32_t kHistories = 25;
#else
constexpr uint32_t kHistories = 250;
#endif

TEST(ApplyCrdt, MergeIsALattice) {
  for (CrdtKind kind : kKinds)
    for (uint32_t seed = 0; seed < kHistories; seed++) {
      History h(kind, seed * 4 + static_cast<uint32_t>(kind));
      Random random(seed);
      std::vector<Crdt> known;  // states from all along the history
      for (int i = 0; i < 64; i++) known.push_back(h.step());
      auto pick = [&]() -> const Crdt & { return known[random() % known.size()]; };
      for (int i = 0; i < 1000; i++) check_laws(pick(), pick(), pick());
      if (HasFatalFailure()) FAIL() << "kind " << static_cast<int>(kind) << " seed " << seed;
    }
}

TEST(ApplyCrdt, AStateHasOneFormAndSurvivesIt) {
  for (CrdtKind kind : kKinds)
    for (uint32_t seed = 0; seed < 50; seed++) {
      History h(kind, seed);
      Random random(seed);
      for (int i = 0; i < 60; i++) {
        Crdt state = random() % 3 ? h.step() : operated(h.step(), random);
        std::string bytes = encode(state);
        Result<Crdt> back = decode_crdt(bytes);
        ASSERT_TRUE(back.ok());
        ASSERT_EQ(back.value(), state);
        Crdt ab = merged(state, h.any()), ba = merged(h.any(), state);
        ASSERT_EQ(encode(ab) == encode(ba), ab == ba);
      }
    }
}

TEST(ApplyCrdt, ContainsIsTheOrderOfTheLattice) {
  for (CrdtKind kind : kKinds) {
    History h(kind, 5);
    for (int i = 0; i < 2000; i++) {
      Crdt a = h.step(), b = h.any();
      Crdt both = merged(a, b);
      ASSERT_TRUE(contains(both, a).value());
      ASSERT_TRUE(contains(both, b).value());
      ASSERT_EQ(contains(a, b).value(), both == a);
    }
  }
}

// Damaged bytes are refused or decode to a state that encodes to just these bytes; never a crash, never much memory.
TEST(ApplyCrdt, HostileBytesAreRefused) {
  Random random(20261125);
  size_t refused = 0, tried = 0;
  for (CrdtKind kind : kKinds) {
    History h(kind, 77);
    for (int i = 0; i < 40000; i++) {
      std::string bytes = encode(h.step());
      for (size_t changes = 1 + random() % 3; changes > 0; changes--) {
        size_t at = random() % bytes.size();
        if (random() % 4 == 0) bytes.resize(at);
        else if (random() % 4 == 0) bytes.insert(at, 1 + random() % 9, static_cast<char>(0xff));
        else bytes[at] = static_cast<char>(random());
        if (bytes.empty()) break;
      }
      Result<Crdt> got = decode_crdt(bytes);
      tried++;
      if (!got.ok()) refused++;
      else ASSERT_EQ(encode(got.value()), bytes);
    }
  }
  EXPECT_GT(refused, tried / 4);
  EXPECT_FALSE(decode_crdt("").ok());
  EXPECT_FALSE(decode_crdt(std::string("\x01\x00\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 14)).ok());
  EXPECT_FALSE(merge(Crdt(Counter{}), Crdt(TextSet{})).ok());
  EXPECT_FALSE(merge(Crdt(Register{}), Crdt(Register{CrdtKind::min_register, 0, "", false})).ok());
}

// Three nodes add and merge in any order, one comes back from an old copy: every addition counts once.
TEST(ApplyCrdt, NothingAddedIsLostOrCountedTwice) {
  for (uint32_t seed = 0; seed < 500; seed++) {
    Random random(seed);
    std::vector<Crdt> node(3, born(Counter{}, 1).value());
    std::vector<EntryKey> entry{{1, 1, 1}, {2, 1, 1}, {3, 1, 1}};
    Crdt home = node[0];  // what left a node is at the home
    int64_t added = 0;
    for (int i = 0; i < 100; i++) {
      size_t n = random() % 3;
      int64_t by = static_cast<int64_t>(random() % 2000) - 1000;
      if (random() % 10 == 0) {
        home = merged(home, node[n]);
        node[n] = node[random() % 3];
        entry[n].generation++;
      } else if (random() % 3 == 0) {
        node[n] = merged(node[n], node[random() % 3]);
      } else {
        node[n] = grown(node[n], plus(std::get<Counter>(node[n]), by).value(), entry[n]).value();
        added += by;
      }
    }
    for (const Crdt &s : node) home = merged(home, s);
    ASSERT_EQ(value(std::get<Counter>(home)), added) << "seed " << seed;
  }
}

TEST(ApplyCrdt, ADeleteEndsWhatWasBornBeforeItWhateverTheOrder) {
  EntryKey one{1, 1, 1}, two{2, 1, 1};
  Crdt v9 = born(Counter{0, 5, {}, 0, false}, 9).value();
  Crdt v9more = grown(v9, plus(std::get<Counter>(v9), 3).value(), two).value();
  Crdt v11 = born(Counter{0, 7, {}, 0, false}, 11).value();
  Crdt dead = ended(v9, 10);
  EXPECT_EQ(value(std::get<Counter>(dead)), 0);
  EXPECT_EQ(merged(dead, v9more), dead);
  EXPECT_EQ(merged(v9more, dead), dead);
  EXPECT_EQ(value(std::get<Counter>(merged(merged(dead, v11), v9more))), 7);
  EXPECT_EQ(ended(v11, 10), v11);
  Crdt again = grown(dead, plus(std::get<Counter>(dead), 2).value(), one).value();
  EXPECT_EQ(value(std::get<Counter>(merged(v9more, again))), 2);
}

TEST(ApplyCrdt, ARemovalTakesWhatItSawAndAConcurrentAdditionStays) {
  Crdt start = born(text_set({"a", "b"}), 1).value();
  auto write = [](const Crdt &s, const char *text, bool add, const EntryKey &by) {
    return grown(s, changed(std::get<TextSet>(s), {text}, add), by).value();
  };
  Crdt removed = write(start, "a", false, {1, 1, 1});
  Crdt added = write(start, "a", true, {2, 1, 1});
  EXPECT_EQ(values(std::get<TextSet>(merged(removed, added))), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(values(std::get<TextSet>(merged(removed, start))), (std::vector<std::string>{"b"}));
  TextSet twice = changed(changed(std::get<TextSet>(start), {"b", "c", "b"}, false), {"c"}, true);
  EXPECT_EQ(values(twice), (std::vector<std::string>{"a", "c"}));
  EXPECT_EQ(values(std::get<TextSet>(grown(start, Crdt(twice), {1, 1, 1}).value())), values(twice));
  Crdt after = write(merged(removed, added), "a", false, {1, 1, 1});
  EXPECT_EQ(values(std::get<TextSet>(merged(after, added))), (std::vector<std::string>{"b"}));
}

TEST(ApplyCrdt, WhatAWriteMeans) {
  Crdt five = born(Counter{0, 5, {}, 0, false}, 9).value(), other = born(Counter{0, 6, {}, 0, false}, 8).value();
  Counter c = std::get<Counter>(five);
  EXPECT_EQ(classify(five, five).value(), CrdtWrite::same);
  EXPECT_EQ(classify(five, Crdt(plus(c, 1).value())).value(), CrdtWrite::grow);
  EXPECT_EQ(classify(five, Crdt(Counter{0, 5, {}, 0, false})).value(), CrdtWrite::same);  // all columns written back
  EXPECT_EQ(classify(five, Crdt(Counter{0, 6, {}, 0, false})).value(), CrdtWrite::assign);
  EXPECT_EQ(classify(five, other).value(), CrdtWrite::assign);
  EXPECT_EQ(classify(five, fresh(five).value()).value(), CrdtWrite::assign);
  // A state read before others were added is still the row's: what is pending is added to the present one.
  Crdt more = grown(five, plus(c, 10).value(), {1, 1, 1}).value();
  EXPECT_EQ(classify(more, plus(c, 1).value()).value(), CrdtWrite::grow);
  EXPECT_EQ(value(std::get<Counter>(grown(more, plus(c, 1).value(), {1, 1, 1}).value())), 16);
  Register nine{CrdtKind::max_register, 1, "9", false};
  EXPECT_EQ(classify(Crdt(nine), Crdt(Register{CrdtKind::max_register, 0, "7", false})).value(), CrdtWrite::same);
  EXPECT_EQ(classify(Crdt(nine), Crdt(Register{CrdtKind::max_register, 0, "10", false})).value(), CrdtWrite::grow);
}

TEST(ApplyCrdt, RangesAreChecked) {
  Counter c = born(Counter{0, INT64_MAX, {}, 0, false}, 1).value();
  EXPECT_TRUE(plus(c, 1).ok());
  EXPECT_FALSE(plus(plus(c, INT64_MAX).value(), 1).ok());
  EXPECT_FALSE(born(plus(c, 1).value(), 2).ok());
  Counter full{1, 0, {{{1, 1, 1}, UINT64_MAX, 0}}, 0, false};
  EXPECT_FALSE(grown(full, plus(full, 1).value(), {1, 1, 1}).ok());
  EXPECT_TRUE(grown(full, plus(full, INT64_MIN).value(), {1, 1, 1}).ok());
}

TEST(ApplyCrdt, DecimalsHaveOneFormAndTheirOrder) {
  EXPECT_EQ(canonical_decimal("007.500").value(), "7.5");
  EXPECT_EQ(canonical_decimal("-0.00").value(), "0");
  for (const char *bad : {"", "-", ".5", "5.", "1e3", "NaN", "+1", " 1", "1.2.3", "--1"})
    EXPECT_FALSE(canonical_decimal(bad).ok()) << bad;
  const char *sorted[] = {"-100", "-20.5", "-20", "-0.51", "-0.5", "0", "0.05", "0.5", "1", "9", "10", "10.01"};
  for (size_t i = 0; i < std::size(sorted); i++)
    for (size_t j = 0; j < std::size(sorted); j++)
      EXPECT_EQ(compare_decimals(sorted[i], sorted[j]), i < j ? -1 : i > j ? 1 : 0) << sorted[i] << " " << sorted[j];
}
