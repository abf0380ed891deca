// How far the slot may be confirmed: invariant 4 of the design. Each decoded transaction counts its pieces that some
// peer has neither acknowledged as flushed nor is in durable debt for; the slot may move to the end of the last
// transaction before the first that still counts any. It must never pass one.
#pragma once
#include <cstdint>
#include <deque>

#include "core/ship/pgoutput.hpp"

namespace vectorshard::ship {

class SlotProgress {
 public:
  /// `confirmed`: where the slot stands.
  explicit SlotProgress(Lsn confirmed) : confirmed_(confirmed), read_to_(confirmed) {}

  /// A transaction was decoded; `end_lsn` (end of its commit record) grows from call to call. It counts `pieces` at once:
  /// give at least one, and settle that one when all its rows are routed.
  void open(Lsn end_lsn, uint64_t pieces = 1);
  /// More pieces of an open transaction.
  void hold(Lsn end_lsn, uint64_t pieces = 1);
  /// Pieces were acknowledged, are in durable debt, or need no peer.
  void settle(Lsn end_lsn, uint64_t pieces = 1);
  /// Everything up to here was read, and every transaction that ends before was opened.
  void read_to(Lsn lsn);

  /// The largest position that may be confirmed; never goes back.
  Lsn confirmable() const;
  /// The end of the oldest transaction that is not settled, 0 if there is none.
  Lsn oldest_open() const { return open_.empty() ? 0 : open_.front().end; }
  bool idle() const { return open_.empty(); }

 private:
  struct Transaction {
    Lsn end;
    uint64_t pieces;
  };
  Transaction &find(Lsn end_lsn);
  void advance();

  std::deque<Transaction> open_;  // ascending by end
  Lsn confirmed_, read_to_;
};

}  // namespace vectorshard::ship
