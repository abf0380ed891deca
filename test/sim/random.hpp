// The only source of chance in the simulator: xoshiro256**, seeded by the number of the history. Same seed, same history, on
// every machine (std:: distributions would differ between libraries).
#pragma once
#include <cstdint>

namespace sim {

class Random {
 public:
  explicit Random(uint64_t seed) {
    for (uint64_t &word : s_) {  // splitmix64
      seed += 0x9e3779b97f4a7c15;
      uint64_t z = seed;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
      z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
      word = z ^ (z >> 31);
    }
  }
  uint64_t next() {
    uint64_t result = rotate(s_[1] * 5, 7) * 9, t = s_[1] << 17;
    s_[2] ^= s_[0];
    s_[3] ^= s_[1];
    s_[1] ^= s_[2];
    s_[0] ^= s_[3];
    s_[2] ^= t;
    s_[3] = rotate(s_[3], 45);
    return result;
  }
  /// In [0, n); n > 0.
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  /// In [from, to].
  int64_t between(int64_t from, int64_t to) { return from + below(to - from + 1); }
  /// True in `per_mille` of 1000 cases.
  bool chance(int per_mille) { return below(1000) < per_mille; }
  template <class Container>
  const auto &pick(const Container &from) {
    return from[static_cast<size_t>(below(static_cast<int64_t>(from.size())))];
  }

 private:
  static uint64_t rotate(uint64_t x, int k) { return (x << k) | (x >> (64 - k)); }
  uint64_t s_[4];
};

}  // namespace sim
