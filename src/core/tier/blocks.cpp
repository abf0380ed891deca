// Checksums of blocks: see blocks.hpp.
#include "core/tier/blocks.hpp"

#include <algorithm>

namespace vectorshard::tier {

void BlockSums::end_block() {
  sums_ += sha_->hex().substr(0, kBlockDigits);
  sha_.reset();
  in_block_ = 0;
}

void BlockSums::add(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = static_cast<size_t>(std::min<int64_t>(kBlockBytes - in_block_, static_cast<int64_t>(bytes.size())));
    if (!sha_) sha_.emplace();
    sha_->add(bytes.substr(0, n));
    bytes.remove_prefix(n);
    in_block_ += static_cast<int64_t>(n);
    if (in_block_ == kBlockBytes) end_block();
  }
}

std::string BlockSums::end() {
  if (in_block_ > 0) end_block();
  return std::move(sums_);
}

bool blocks_match(std::string_view sums, int64_t first, std::string_view bytes) {
  BlockSums found;
  found.add(bytes);
  std::string text = found.end();
  return static_cast<size_t>(first) * kBlockDigits <= sums.size() && sums.substr(static_cast<size_t>(first) * kBlockDigits, text.size()) == text;
}

}  // namespace vectorshard::tier
