// Reading and writing bytes: little-endian integers, length-prefixed strings. The reader is bounds-checked and fails
// closed: after the first short read ok() stays false and every read gives zero or an empty view; it never allocates
// by an unchecked length. The reader owns nothing: views point into the caller's buffer.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace vectorshard {

class ByteWriter {
 public:
  void u8(uint8_t v) { out_.push_back(static_cast<char>(v)); }
  void u16(uint16_t v) { put(v); }
  void u32(uint32_t v) { put(v); }
  void u64(uint64_t v) { put(v); }
  void i32(int32_t v) { put(static_cast<uint32_t>(v)); }
  void i64(int64_t v) { put(static_cast<uint64_t>(v)); }
  /// u32 length, then the bytes. Strings of 4 GiB and more are a bug of the caller.
  void str(std::string_view s) {
    u32(static_cast<uint32_t>(s.size()));
    out_.append(s);
  }
  void raw(std::string_view s) { out_.append(s); }
  size_t size() const { return out_.size(); }
  std::string take() && { return std::move(out_); }
  const std::string &bytes() const { return out_; }

 private:
  template <class U>
  void put(U v) {
    char b[sizeof v];
    for (size_t i = 0; i < sizeof v; i++) b[i] = static_cast<char>(v >> (8 * i));
    out_.append(b, sizeof v);
  }
  std::string out_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view in) : in_(in) {}
  uint8_t u8() { return get<uint8_t>(); }
  uint16_t u16() { return get<uint16_t>(); }
  uint32_t u32() { return get<uint32_t>(); }
  uint64_t u64() { return get<uint64_t>(); }
  int32_t i32() { return static_cast<int32_t>(get<uint32_t>()); }
  int64_t i64() { return static_cast<int64_t>(get<uint64_t>()); }
  std::string_view str() { return raw(u32()); }
  std::string_view raw(size_t n) {
    if (n > in_.size()) {
      fail();
      return {};
    }
    auto v = in_.substr(0, n);
    in_.remove_prefix(n);
    return v;
  }
  void fail() {
    ok_ = false;
    in_ = {};
  }
  bool ok() const { return ok_; }
  bool at_end() const { return in_.empty(); }
  size_t left() const { return in_.size(); }

 private:
  template <class U>
  U get() {
    if (in_.size() < sizeof(U)) {
      fail();
      return 0;
    }
    U v = 0;
    for (size_t i = 0; i < sizeof(U); i++) v |= static_cast<U>(static_cast<U>(static_cast<uint8_t>(in_[i])) << (8 * i));
    in_.remove_prefix(sizeof(U));
    return v;
  }
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace vectorshard
