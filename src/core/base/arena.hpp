// Memory that is taken bit by bit and given back all at once, as it is for every block of rows anew.
#pragma once
#include <cstddef>
#include <memory>
#include <vector>

namespace vectorshard {

class Arena {
 public:
  /// `n` bytes, aligned for any number or pointer. They live until reset().
  char *take(size_t n) {
    n = (n + kAlignment - 1) / kAlignment * kAlignment;
    used_ += n;
    if (n > kPieceBytes / 4) return large_.emplace_back(new char[n]).get();
    if (pieces_.empty() || at_ + n > kPieceBytes) {
      if (!pieces_.empty()) piece_++;
      if (piece_ == pieces_.size()) pieces_.emplace_back(new char[kPieceBytes]);
      at_ = 0;
    }
    char *out = pieces_[piece_].get() + at_;
    at_ += n;
    return out;
  }
  /// Gives all back, and keeps for the next round what is not larger than usual.
  void reset() {
    large_.clear();
    piece_ = at_ = used_ = 0;
  }
  size_t used() const { return used_; }

 private:
  static constexpr size_t kAlignment = 8, kPieceBytes = 256 << 10;
  std::vector<std::unique_ptr<char[]>> pieces_, large_;
  size_t piece_ = 0, at_ = 0, used_ = 0;
};

}  // namespace vectorshard
