// Messages of the slot that wait to be routed, in order: the first few megabytes in memory, the rest of a large transaction
// in one temporary file (under pgsql_tmp: the server removes it when the process ends, and after a crash). Nothing in it
// is the only copy of anything: whatever is lost is decoded again.
#pragma once
#include <string>
#include <string_view>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "storage/fd.h"
}

namespace vectorshard::ship {

/// Calls f(message) for each message of a run, in order.
template <class F>
void for_each_message(std::string_view run, F f) {
  while (!run.empty()) {
    uint64 length;
    memcpy(&length, run.data(), sizeof length);
    f(run.substr(sizeof length, length));
    run.remove_prefix(sizeof length + length);
  }
}

class Spool {
 public:
  /// Up to about `memory_bytes` stay in memory.
  explicit Spool(size_t memory_bytes) : memory_bytes_(memory_bytes) {}
  ~Spool();
  Spool(const Spool &) = delete;
  Spool &operator=(const Spool &) = delete;

  /// Raises if the disk is full. Messages may be added until the first has been taken from the file, and again once it is
  /// empty.
  void push(std::string_view message);
  /// The oldest messages, for for_each_message(): about so many bytes of them, or all that are in memory; empty: there
  /// is none.
  std::string pop_run(size_t bytes);
  bool empty() const { return in_memory_.empty() && bytes_on_disk() == 0; }
  /// Of the messages that wait in the file.
  size_t bytes_on_disk() const { return written_ - read_at_; }

 private:
  void put(std::string_view bytes);
  void flush();
  void write(std::string_view bytes);
  void read(char *to, size_t bytes);
  void open();
  void close();

  size_t memory_bytes_;
  std::string in_memory_;  // each message behind its length, as in the file
  File file_ = -1;
  std::string buffer_;       // of what is being written, or read
  size_t buffer_at_ = 0;     // while reading: where in buffer_
  off_t on_disk_ = 0;        // written to the file
  off_t fetched_ = 0;        // read from the file into buffer_
  size_t written_ = 0, read_at_ = 0;  // bytes that went in and out, file and buffer together
  bool reading_ = false;
};

}  // namespace vectorshard::ship
