// Sums of row hashes: see digest.hpp.
#include "core/apply/digest.hpp"

namespace vectorshard::apply {

namespace {

/// FNV-1a, one part after the other; the byte between keeps ("a", "bc") and ("ab", "c") apart.
uint64_t mixed(uint64_t h, std::string_view part) {
  constexpr uint64_t kPrime = 0x100000001b3;
  for (unsigned char c : part) h = (h ^ c) * kPrime;
  return (h ^ 0xff) * kPrime;
}

/// The finalizer of MurmurHash3 (public domain): FNV's high bits alone are not even enough.
uint64_t even(uint64_t h) {
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
  return h ^ h >> 33;
}

}  // namespace

RowHash row_hash(const unsigned char *bytes) {
  RowHash out{};
  for (size_t i = 0; i < 32; i++) out[i / 8] = out[i / 8] << 8 | bytes[i];
  return out;
}

void Digest::add(const RowHash &row) {
  rows++;
  for (size_t i = 0; i < sum.size(); i++) sum[i] += row[i];
}

std::string Digest::hex() const { return apply::hex(sum); }

std::string hex(const RowHash &row) {
  std::string out;
  for (uint64_t lane : row)
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back("0123456789abcdef"[lane >> shift & 15]);
  return out;
}

uint32_t range_of(std::string_view table, const std::vector<std::string> &key, uint32_t ranges) {
  uint64_t h = mixed(0xcbf29ce484222325, table);
  for (const std::string &k : key) h = mixed(h, k);
  return static_cast<uint32_t>((even(h) >> 32) * ranges >> 32);
}

}  // namespace vectorshard::apply
