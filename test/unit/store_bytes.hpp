// Objects in memory, for the tests of stores: bytes to put, and those that came.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "core/store/sha256.hpp"
#include "core/store/types.hpp"

namespace vectorshard::store {

class Source : public ByteSource {
 public:
  /// Gives at most `most` bytes at once, so that they come in uneven pieces.
  explicit Source(std::string bytes, size_t most = 70001) : bytes_(std::move(bytes)), most_(most) {}
  Result<size_t> read(char *out, size_t max) override {
    size_t n = bytes_.copy(out, std::min(max, most_), at_);
    at_ += n;
    return n;
  }
  Result<void> rewind() override {
    at_ = 0;
    return {};
  }

 private:
  std::string bytes_;
  size_t most_, at_ = 0;
};

class Sink : public ByteSink {
 public:
  std::string bytes;
  bool full = false;
  Result<void> write(std::string_view b) override {
    if (full) return Error{Errc::no_space, "full", "", ""};
    bytes.append(b);
    return {};
  }
};

inline ObjectContent content_of(const std::string &bytes) {
  Sha256 sha;
  sha.add(bytes);
  return {static_cast<int64_t>(bytes.size()), sha.hex()};
}

}  // namespace vectorshard::store
