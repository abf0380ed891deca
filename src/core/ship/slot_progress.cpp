// Slot position: see slot_progress.hpp. Misuse (settling what is not held) is a bug of the caller and throws, because
// going on would let the slot pass an undelivered change.
#include "core/ship/slot_progress.hpp"

#include <algorithm>
#include <stdexcept>

namespace vectorshard::ship {

void SlotProgress::open(Lsn commit_lsn, uint64_t pieces) {
  if (!open_.empty() && commit_lsn <= open_.back().commit_lsn)
    throw std::logic_error("transactions must be opened in order");
  open_.push_back({commit_lsn, pieces});
}

SlotProgress::Transaction &SlotProgress::find(Lsn commit_lsn) {
  for (size_t i = last_found_; i < open_.size() && i < last_found_ + 2; i++)
    if (open_[i].commit_lsn == commit_lsn) return open_[last_found_ = i];
  auto it = std::lower_bound(open_.begin(), open_.end(), commit_lsn,
                             [](const Transaction &t, Lsn lsn) { return t.commit_lsn < lsn; });
  if (it == open_.end() || it->commit_lsn != commit_lsn) throw std::logic_error("transaction is not open");
  last_found_ = static_cast<size_t>(it - open_.begin());
  return *it;
}

void SlotProgress::hold(Lsn commit_lsn, uint64_t pieces) { find(commit_lsn).pieces += pieces; }

void SlotProgress::settle(Lsn commit_lsn, uint64_t pieces) {
  Transaction &t = find(commit_lsn);
  if (t.pieces < pieces) throw std::logic_error("more pieces settled than held");
  t.pieces -= pieces;
  // A settled transaction behind an open one stays in the queue: it must not be confirmed yet.
  while (!open_.empty() && open_.front().pieces == 0) {
    confirmed_ = std::max(confirmed_, open_.front().commit_lsn);
    open_.pop_front();
    if (last_found_ > 0) last_found_--;
  }
}

void SlotProgress::read_to(Lsn lsn) { confirmed_ = std::max(confirmed_, lsn); }

}  // namespace vectorshard::ship
