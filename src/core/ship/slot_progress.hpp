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
  explicit SlotProgress(Lsn confirmed) : confirmed_(confirmed) {}

  /// A transaction was decoded whose commit record starts at `commit_lsn` (grows from call to call). It counts `pieces`
  /// at once: give at least one, and settle that one when all its rows are routed.
  void open(Lsn commit_lsn, uint64_t pieces = 1);
  /// More pieces of an open transaction.
  void hold(Lsn commit_lsn, uint64_t pieces = 1);
  /// Pieces were acknowledged, are in durable debt, or need no peer.
  void settle(Lsn commit_lsn, uint64_t pieces = 1);
  /// Everything up to here was read, and every transaction that ends before was opened.
  void read_to(Lsn lsn);

  /// The largest position that may be confirmed; never goes back. A slot confirmed at L delivers every transaction
  /// whose commit record starts at L or later again.
  Lsn confirmable() const { return open_.empty() ? confirmed_ : open_.front().commit_lsn; }
  /// The commit of the oldest transaction that is not settled, 0 if there is none.
  Lsn oldest_open() const { return open_.empty() ? 0 : open_.front().commit_lsn; }
  bool idle() const { return open_.empty(); }

 private:
  struct Transaction {
    Lsn commit_lsn;
    uint64_t pieces;
  };
  Transaction &find(Lsn commit_lsn);

  std::deque<Transaction> open_;  // ascending
  size_t last_found_ = 0;         // the next one asked for is this or its neighbour, mostly
  Lsn confirmed_;                 // where to stand when nothing is open
};

}  // namespace vectorshard::ship
