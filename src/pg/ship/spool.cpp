// Messages that wait to be routed: see spool.hpp. Each message stands behind its length.
#include "pg/ship/spool.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "pgstat.h"
}

namespace vectorshard::ship {

namespace {
constexpr size_t kBufferBytes = 256 << 10;
}

Spool::~Spool() { close(); }

void Spool::close() {
  if (file_ >= 0) FileClose(file_);
  file_ = -1;
  buffer_.clear();
  buffer_at_ = written_ = read_at_ = 0;
  on_disk_ = fetched_ = 0;
  reading_ = false;
}

void Spool::open() {
  bool all_transactions = true;  // it outlives the one in which decoding runs
  file_ = bridge::pg_call([&] { return OpenTemporaryFile(all_transactions); });
  buffer_.reserve(kBufferBytes);
}

void Spool::put(std::string_view bytes) {
  bridge::pg_call([&] {
    errno = 0;
    int size = static_cast<int>(bytes.size());
    if (FileWrite(file_, const_cast<char *>(bytes.data()), size, on_disk_, WAIT_EVENT_BUFFILE_WRITE) == size) return;
    if (errno == 0) errno = ENOSPC;
    ereport(ERROR,
            (errcode_for_file_access(), errmsg("could not write a large transaction to \"%s\": %m", FilePathName(file_))));
  });
  on_disk_ += static_cast<off_t>(bytes.size());
}

void Spool::flush() {
  put(buffer_);
  buffer_.clear();
}

void Spool::write(std::string_view bytes) {
  written_ += bytes.size();
  if (buffer_.size() + bytes.size() > kBufferBytes) flush();
  if (bytes.size() > kBufferBytes)
    put(bytes);
  else
    buffer_ += bytes;
}

void Spool::read(char *to, size_t bytes) {
  read_at_ += bytes;
  while (bytes > 0) {
    if (buffer_at_ == buffer_.size()) {
      buffer_.resize(std::min(kBufferBytes, static_cast<size_t>(on_disk_ - fetched_)));
      int done = bridge::pg_call([&] {
        return FileRead(file_, buffer_.data(), static_cast<int>(buffer_.size()), fetched_, WAIT_EVENT_BUFFILE_READ);
      });
      if (done <= 0) bridge::raise({Errc::io, "could not read back a large transaction", "", ""});
      buffer_.resize(static_cast<size_t>(done));
      fetched_ += done;
      buffer_at_ = 0;
    }
    size_t n = std::min(bytes, buffer_.size() - buffer_at_);
    std::copy_n(buffer_.data() + buffer_at_, n, to);
    buffer_at_ += n;
    to += n;
    bytes -= n;
  }
}

void Spool::push(std::string_view message) {
  uint64 length = message.size();
  std::string_view prefix{reinterpret_cast<const char *>(&length), sizeof length};
  if (file_ < 0 && in_memory_.size() + message.size() <= memory_bytes_) {
    in_memory_ += prefix;
    in_memory_ += message;
    return;
  }
  if (file_ < 0) open();
  if (reading_) bridge::raise({Errc::invalid_argument, "a spool that is being read was written", "", ""});
  write(prefix);
  write(message);
}

std::string Spool::pop_run(size_t bytes) {
  std::string out = std::exchange(in_memory_, {});
  if (!out.empty() || file_ < 0) return out;
  if (!reading_) flush();
  reading_ = true;
  while (bytes_on_disk() > 0 && out.size() < bytes) {
    uint64 length = 0;
    read(reinterpret_cast<char *>(&length), sizeof length);
    out.append(reinterpret_cast<const char *>(&length), sizeof length);
    size_t at = out.size();
    out.resize(at + length);
    read(out.data() + at, length);
  }
  if (bytes_on_disk() == 0) close();
  return out;
}

}  // namespace vectorshard::ship
