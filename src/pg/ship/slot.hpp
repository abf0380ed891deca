// The slot of this node's fabric database: decoding in this process with the stock plugin pgoutput. Only the shipper
// worker uses it. It never confirms on its own: confirm() is given what core's SlotProgress allows.
#pragma once
#include <deque>
#include <string>

#include "core/ship/pgoutput.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "replication/logical.h"
}

namespace vectorshard::ship {

class Slot {
 public:
  ~Slot();
  Slot() = default;
  Slot(const Slot &) = delete;
  Slot &operator=(const Slot &) = delete;

  /// Takes the slot and starts decoding where it was confirmed. Makes it first if it is not there (or its WAL is gone),
  /// after `before_making` has been called. Outside a transaction. Raises if another process has the slot.
  void open(const std::function<void()> &before_making);
  /// Removes the slot of this database if there is one that no process has.
  static void drop();
  bool is_open() const { return context_ != nullptr; }

  /// Decodes what is flushed, until about `max_bytes` of messages wait or there is no more. Outside a transaction.
  void read(size_t max_bytes);
  /// Messages of pgoutput in order; the caller takes them away.
  std::deque<std::string> &messages() { return messages_; }
  /// Everything that committed before this position is in messages() or was taken from it.
  Lsn read_to() const { return read_to_; }
  Lsn confirmed() const { return confirmed_; }
  /// Flushed WAL beyond read_to().
  size_t unread_bytes() const;
  bool more() const { return unread_bytes() > 0; }
  /// Lets the server forget what was decoded before `lsn`.
  void confirm(Lsn lsn);

 private:
  static void prepare_write(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write);
  static void write(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write);
  void make(const char *name);
  void start_decoding();

  MemoryContext memory_ = nullptr;
  LogicalDecodingContext *context_ = nullptr;
  std::deque<std::string> messages_;
  size_t bytes_ = 0;
  Lsn read_to_ = 0;
  Lsn confirmed_ = 0;
};

}  // namespace vectorshard::ship
