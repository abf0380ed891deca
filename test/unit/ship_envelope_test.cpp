// Compressed batches: what goes in comes out; damaged, cut, lying and hostile bytes are an error within bounded memory.
#include "core/ship/envelope.hpp"

#include <gtest/gtest.h>
#include <lz4.h>
#include <zstd.h>

#include <random>

#include "core/ship/types.hpp"

using namespace vectorshard;
using namespace vectorshard::ship;

namespace {

constexpr Compression kMethods[] = {Compression::lz4, Compression::zstd};

std::string text(size_t bytes) {
  std::string out;
  while (out.size() < bytes) out += "a row like the others, number " + std::to_string(out.size()) + "\n";
  return out;
}

std::string header(uint8_t method, uint32_t size) {
  std::string h = "VSZ1";
  h += static_cast<char>(method);
  for (int i = 0; i < 4; i++) h += static_cast<char>(size >> (8 * i));
  return h;
}

TEST(Envelope, WhatGoesInComesOut) {
  for (Compression method : kMethods)
    for (size_t bytes : {600u, 5000u, 3000000u}) {
      std::string in = text(bytes);
      std::string closed = close_envelope(in, method);
      ASSERT_TRUE(is_envelope(closed));
      EXPECT_LT(closed.size(), in.size() / 2);
      auto out = open_envelope(closed);
      ASSERT_TRUE(out.ok()) << out.error().detail;
      EXPECT_TRUE(out.value() == in);
    }
}

TEST(Envelope, WhatDoesNotPayStaysAsItIs) {
  std::mt19937_64 random(1);
  std::string noise;
  for (int i = 0; i < 10000; i++) noise += static_cast<char>(random());
  for (Compression method : kMethods) {
    EXPECT_EQ(close_envelope(noise, method), noise);
    EXPECT_EQ(close_envelope("short", method), "short");
  }
  EXPECT_EQ(close_envelope(text(1000), Compression::off), text(1000));
}

TEST(Envelope, DecodesAsABatchButNotTwice) {
  Batch batch;
  batch.from = 3;
  batch.tables.push_back({"public.t", {{"c", "text"}, {"_version", "bigint"}}, 1});
  batch.clients.push_back({"car", false, {}});
  for (int i = 0; i < 100; i++) batch.rows.push_back({0, 0, i, {std::string("car"), std::string(8, '\0')}});
  for (Compression method : kMethods) {
    std::string once = close_envelope(encode(batch), method);
    auto decoded = decode_batch(once);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded.value().rows.size(), 100u);
    std::string padded = once + std::string(2000, 'x');  // so that it can be closed again at all
    auto twice = decode_batch(close_envelope(padded, method));
    EXPECT_FALSE(twice.ok());
  }
}

TEST(Envelope, CutOrChangedAnywhereIsAnErrorOrTheSame) {
  std::mt19937 random(2);
  for (Compression method : kMethods) {
    std::string in = text(20000), closed = close_envelope(in, method);
    for (size_t n = 0; n < closed.size(); n += 1 + closed.size() / 300) EXPECT_FALSE(open_envelope(closed.substr(0, n)).ok());
    EXPECT_FALSE(open_envelope(closed + "x").ok());
    for (int i = 0; i < 2000; i++) {
      std::string changed = closed;
      changed[random() % changed.size()] ^= static_cast<char>(1 + random() % 255);
      auto out = open_envelope(changed, 1 << 20);
      if (out.ok()) EXPECT_LE(out.value().size(), size_t{1} << 20);
    }
  }
}

TEST(Envelope, ClaimsAreNotBelieved) {
  // Large claims with few bytes behind them: refused before they are allocated.
  EXPECT_FALSE(open_envelope(header(1, 0x3FFFFFFF) + std::string(100, 'x')).ok());
  EXPECT_FALSE(open_envelope(header(2, 0x3FFFFFFF) + std::string(100, 'x')).ok());
  EXPECT_FALSE(open_envelope(header(1, 0xFFFFFFFF) + std::string(100, 'x')).ok());
  EXPECT_FALSE(open_envelope(header(9, 100) + std::string(100, 'x')).ok());
  EXPECT_FALSE(open_envelope("VSZ1").ok());
  EXPECT_FALSE(open_envelope("").ok());
  // More inside than is claimed, and than is allowed.
  std::string zeros(8 << 20, '\0'), closed = close_envelope(zeros, Compression::zstd);
  EXPECT_FALSE(open_envelope(closed, 1 << 20).ok());
  std::string lying = header(2, 1 << 20) + closed.substr(9);
  EXPECT_FALSE(open_envelope(lying).ok());
  std::string modest = header(2, 9 << 20) + closed.substr(9);
  EXPECT_FALSE(open_envelope(modest).ok());
}

}  // namespace
