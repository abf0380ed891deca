// The slot of this node's fabric database: decoding in this process with the stock plugin pgoutput. Only the shipper
// worker uses it. It never confirms on its own: confirm() is given what core's SlotProgress allows.
#pragma once
#include <functional>
#include <string>

#include "core/ship/pgoutput.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/ship/spool.hpp"
extern "C" {
#include "replication/logical.h"
}

namespace vectorshard::ship {

class Slot {
 public:
  ~Slot();
  /// `meanwhile` is called now and then while a large transaction is decoded. It must not touch the database.
  explicit Slot(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)), messages_(kMemoryBytes) {}
  Slot(const Slot &) = delete;
  Slot &operator=(const Slot &) = delete;

  /// Takes the slot and starts decoding where it was confirmed. Makes it first if it is not there (or its WAL is gone),
  /// after `before_making` has been called. Outside a transaction. Raises if another process has the slot.
  void open(const std::function<void()> &before_making);
  /// Removes the slot of this database if there is one that no process has.
  static void drop();
  bool is_open() const { return context_ != nullptr; }

  /// Decodes what is flushed, until about `max_bytes` of messages wait, or much WAL was read, or there is no more. A
  /// transaction is decoded as a whole: a large one waits on disk. Within a transaction or outside; messages() must be
  /// empty.
  void read(size_t max_bytes);
  /// Messages of pgoutput in order; the caller takes them away.
  Spool &messages() { return messages_; }
  const Spool &messages() const { return messages_; }
  /// Everything that committed before this position is in messages() or was taken from it.
  Lsn read_to() const { return read_to_; }
  Lsn confirmed() const { return confirmed_; }
  /// Flushed WAL beyond read_to().
  size_t unread_bytes() const;
  /// There is something to read that was not there at the last read().
  bool more() const;
  /// Lets the server forget what was decoded before `lsn`.
  void confirm(Lsn lsn);
  /// Flushed WAL from `lsn` on.
  static size_t bytes_since(Lsn lsn);

 private:
  static void prepare_write(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write);
  static void write(LogicalDecodingContext *ctx, XLogRecPtr lsn, TransactionId xid, bool last_write);
  static void change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation, ReorderBufferChange *change);
  void take_message(StringInfo out);
  void make(const char *name);
  void start_decoding();

  MemoryContext memory_ = nullptr;
  LogicalDecodingContext *context_ = nullptr;
  static constexpr size_t kMemoryBytes = 5 << 20;

  void help_restart();

  std::function<void()> meanwhile_;
  LogicalDecodeChangeCB plugin_change_ = nullptr;
  size_t oversized_ = 0;  // bytes of the row that is being written without its large values
  Spool messages_;
  size_t bytes_ = 0;      // of messages since read() began
  size_t since_meanwhile_ = 0;
  Lsn snapshot_at_ = 0;   // where the last running-transactions record was asked for
  Lsn read_to_ = 0;
  Lsn incomplete_at_ = 0;  // flushed up to here, the record at read_to_ was not whole
  Lsn confirmed_ = 0;
};

}  // namespace vectorshard::ship
