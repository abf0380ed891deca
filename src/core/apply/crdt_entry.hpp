// What the CRDT values share: the key of an entry, what a write means, and the variable-length integers of their bytes.
// The reader accepts only the shortest form of an integer, so that a state has one form.
#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.hpp"
#include "core/base/ids.hpp"
#include "core/base/result.hpp"

namespace vectorshard::apply {

/// The first byte of every state.
enum class CrdtKind : uint8_t { counter = 1, text_set = 2, max_register = 3, min_register = 4 };

/// Who may move an entry: a node, in one life of its database, during one residency of the row's client there (0: a
/// reference table, which every node holds for ever). All zero: what the birth itself put in.
struct EntryKey {
  NodeId node = kNoNode;
  int64_t incarnation = 0;
  Generation generation = 0;
  auto operator<=>(const EntryKey &) const = default;
};

/// What an UPDATE of one value means.
enum class CrdtWrite {
  same,    // nothing: the stored state stays
  grow,    // a change that merges: the birth stays, and so may the row's version
  assign,  // a value of its own: a new birth
};

namespace crdt {

constexpr uint8_t kPending = 1, kFresh = 2;  // flags: the second byte of every state

inline Error corrupt(const char *what) { return {Errc::corrupt, "value does not decode", what, ""}; }

inline void put_uint(ByteWriter &out, uint64_t v) {
  for (; v >= 0x80; v >>= 7) out.u8(static_cast<uint8_t>(v | 0x80));
  out.u8(static_cast<uint8_t>(v));
}
inline void put_int(ByteWriter &out, int64_t v) {
  put_uint(out, static_cast<uint64_t>(v) << 1 ^ static_cast<uint64_t>(v >> 63));
}
inline void put_text(ByteWriter &out, std::string_view s) {
  put_uint(out, s.size());
  out.raw(s);
}

/// 0, and the reader failed, for anything but the shortest form of a 64-bit number.
inline uint64_t get_uint(ByteReader &in) {
  uint64_t v = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    uint8_t b = in.u8();
    if (shift == 63 && b > 1) break;
    v |= static_cast<uint64_t>(b & 0x7f) << shift;
    if (b & 0x80) continue;
    if (b == 0 && shift > 0) break;
    return v;
  }
  in.fail();
  return 0;
}
inline int64_t get_int(ByteReader &in) {
  uint64_t v = get_uint(in);
  return static_cast<int64_t>(v >> 1 ^ (~(v & 1) + 1));
}
/// A number that fits into int64 and is not negative.
inline int64_t get_natural(ByteReader &in) {
  uint64_t v = get_uint(in);
  if (v > INT64_MAX) in.fail();
  return in.ok() ? static_cast<int64_t>(v) : 0;
}
inline std::string_view get_text(ByteReader &in) {
  uint64_t n = get_uint(in);
  if (n > in.left()) in.fail();
  return in.raw(in.ok() ? n : 0);
}
/// A count of elements that take at least `least` bytes each; never more than the bytes that are left can hold.
inline size_t get_count(ByteReader &in, size_t least) {
  uint64_t n = get_uint(in);
  if (n > in.left() / least) in.fail();
  return in.ok() ? static_cast<size_t>(n) : 0;
}

inline void put_key(ByteWriter &out, const EntryKey &k) {
  put_uint(out, static_cast<uint64_t>(k.node));
  put_uint(out, static_cast<uint64_t>(k.incarnation));
  put_uint(out, static_cast<uint64_t>(k.generation));
}
inline EntryKey get_key(ByteReader &in) {
  uint64_t node = get_uint(in);
  if (node > static_cast<uint64_t>(kNodeMax)) in.fail();
  EntryKey k;
  k.node = in.ok() ? static_cast<NodeId>(node) : 0;
  k.incarnation = get_natural(in);
  k.generation = get_natural(in);
  return k;
}

/// The two bytes with which every state begins, and its birth.
inline void put_head(ByteWriter &out, CrdtKind kind, bool pending, bool fresh, Version birth) {
  out.u8(static_cast<uint8_t>(kind));
  out.u8(static_cast<uint8_t>((pending ? kPending : 0) | (fresh ? kFresh : 0)));
  put_uint(out, static_cast<uint64_t>(birth));
}

/// Joins two vectors that are sorted by `key` into one: `both` makes one element of two with equal keys.
template <class T, class Both>
std::vector<T> join_sorted(const std::vector<T> &a, const std::vector<T> &b, Both &&both) {
  std::vector<T> out;
  out.reserve(std::max(a.size(), b.size()));
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (a[i].key < b[j].key)
      out.push_back(a[i++]);
    else if (b[j].key < a[i].key)
      out.push_back(b[j++]);
    else
      out.push_back(both(a[i++], b[j++]));
  }
  out.insert(out.end(), a.begin() + static_cast<std::ptrdiff_t>(i), a.end());
  out.insert(out.end(), b.begin() + static_cast<std::ptrdiff_t>(j), b.end());
  return out;
}

}  // namespace crdt

}  // namespace vectorshard::apply
