// Arena: what was taken lies apart, aligned, and stays until reset(); memory is used again.
#include "core/base/arena.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace vectorshard {
namespace {

TEST(Arena, WhatIsTakenLiesApart) {
  Arena arena;
  for (int round = 0; round < 3; round++) {
    std::vector<std::pair<char *, size_t>> taken;
    for (size_t i = 0; i < 3000; i++) {
      size_t n = i % 97 == 0 ? 100000 : i % 611;
      char *p = arena.take(n);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(p) % 8, 0u);
      memset(p, static_cast<int>(i % 251), n);
      taken.emplace_back(p, n);
    }
    for (size_t i = 0; i < taken.size(); i++)
      for (size_t b = 0; b < taken[i].second; b++) ASSERT_EQ(static_cast<unsigned char>(taken[i].first[b]), i % 251);
    EXPECT_GE(arena.used(), 3000u * 300);
    arena.reset();
    EXPECT_EQ(arena.used(), 0u);
  }
}

TEST(Arena, MemoryIsUsedAgain) {
  Arena arena;
  char *first = arena.take(10);
  arena.take(200 << 10);
  arena.reset();
  EXPECT_EQ(arena.take(10), first);
}

}  // namespace
}  // namespace vectorshard
