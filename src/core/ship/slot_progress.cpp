// Slot position: see slot_progress.hpp. Misuse (settling what is not held) is a bug of the caller and throws, because
// going on would let the slot pass an undelivered change.
#include "core/ship/slot_progress.hpp"

#include <algorithm>
#include <stdexcept>

namespace vectorshard::ship {

void SlotProgress::open(Lsn end_lsn, uint64_t pieces) {
  if (!open_.empty() && end_lsn <= open_.back().end) throw std::logic_error("transactions must be opened in order");
  if (open_.empty()) confirmed_ = confirmable();  // what was free to confirm stays so
  open_.push_back({end_lsn, pieces});
}

SlotProgress::Transaction &SlotProgress::find(Lsn end_lsn) {
  auto it = std::lower_bound(open_.begin(), open_.end(), end_lsn,
                             [](const Transaction &t, Lsn end) { return t.end < end; });
  if (it == open_.end() || it->end != end_lsn) throw std::logic_error("transaction is not open");
  return *it;
}

void SlotProgress::hold(Lsn end_lsn, uint64_t pieces) { find(end_lsn).pieces += pieces; }

void SlotProgress::settle(Lsn end_lsn, uint64_t pieces) {
  Transaction &t = find(end_lsn);
  if (t.pieces < pieces) throw std::logic_error("more pieces settled than held");
  t.pieces -= pieces;
  advance();
}

void SlotProgress::advance() {
  // A settled transaction behind an open one stays in the queue: its end must not be confirmed yet.
  while (!open_.empty() && open_.front().pieces == 0) {
    confirmed_ = std::max(confirmed_, open_.front().end);
    open_.pop_front();
  }
}

void SlotProgress::read_to(Lsn lsn) { read_to_ = std::max(read_to_, lsn); }

Lsn SlotProgress::confirmable() const { return open_.empty() ? std::max(confirmed_, read_to_) : confirmed_; }

}  // namespace vectorshard::ship
