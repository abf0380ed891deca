// Row digests: see digest.hpp. The hash of a row is MurmurHash3_x64_128 (public domain, Austin Appleby).
#include "core/tier/digest.hpp"

#include <bit>
#include <cstring>

namespace vectorshard::tier {

namespace {

uint64_t rotate(uint64_t x, int by) { return (x << by) | (x >> (64 - by)); }

uint64_t mix(uint64_t k) {
  k = (k ^ (k >> 33)) * 0xff51afd7ed558ccdULL;
  k = (k ^ (k >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return k ^ (k >> 33);
}

constexpr uint64_t kC1 = 0x87c37b91114253d5ULL;
constexpr uint64_t kC2 = 0x4cf5ad432745937fULL;

/// 16 bytes from `p`, of which `n` exist, as two little-endian words.
void load(const char *p, size_t n, uint64_t &k1, uint64_t &k2) {
  static_assert(std::endian::native == std::endian::little);
  char b[16] = {};
  if (n < 16) p = static_cast<char *>(memcpy(b, p, n));
  memcpy(&k1, p, 8);
  memcpy(&k2, p + 8, 8);
}

RowDigest murmur(std::string_view in) {
  uint64_t h1 = 0, h2 = 0, k1, k2;
  size_t at = 0;
  for (; at + 16 <= in.size(); at += 16) {
    load(in.data() + at, 16, k1, k2);
    h1 ^= rotate(k1 * kC1, 31) * kC2;
    h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
    h2 ^= rotate(k2 * kC2, 33) * kC1;
    h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
  }
  if (at < in.size()) {
    load(in.data() + at, in.size() - at, k1, k2);
    h2 ^= rotate(k2 * kC2, 33) * kC1;
    h1 ^= rotate(k1 * kC1, 31) * kC2;
  }
  h1 ^= in.size();
  h2 ^= in.size();
  h1 += h2;
  h2 += h1;
  h1 = mix(h1);
  h2 = mix(h2);
  h1 += h2;
  h2 += h1;
  return {1, h1, h2};
}

void append_u64(std::string &out, uint64_t v) {
  char bytes[8];
  memcpy(bytes, &v, 8);
  out.append(bytes, 8);
}

}  // namespace

void RowDigest::add(const RowDigest &other) {
  rows += other.rows;
  uint64_t before = low;
  low += other.low;
  high += other.high + (low < before ? 1 : 0);
}

std::string RowDigest::hex() const {
  static const char kDigits[] = "0123456789abcdef";
  std::string out;
  for (uint64_t word : {high, low})
    for (int shift = 60; shift >= 0; shift -= 4) out.push_back(kDigits[(word >> shift) & 15]);
  return out;
}

void RowHasher::cell(CellKind kind, const Cell &cell) {
  row_.push_back(cell.null ? '\0' : '\1');
  if (cell.null) return;
  if (!is_string(kind)) return append_u64(row_, static_cast<uint64_t>(cell.number));
  if (kind == CellKind::wkb) append_u64(row_, static_cast<uint64_t>(cell.number));
  append_u64(row_, cell.bytes.size());
  row_.append(cell.bytes);
}

RowDigest RowHasher::end() const { return murmur(row_); }

}  // namespace vectorshard::tier
