// File operations as a port, so that FileStore (order of write, sync, rename) is tested in memory with faults.
// The real ones are src/pg/tier/posix_files.cpp. Paths are absolute.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace vectorshard::store {

struct FileInfo {
  std::string name;
  int64_t bytes = 0;
  int64_t age_s = 0;
  bool directory = false;
};

class FileOps {
 public:
  virtual ~FileOps() = default;
  /// A new file for writing, mode 0600; an existing one is an error (conflict). Gives a handle.
  virtual Result<int> create(const std::string &path) = 0;
  virtual Result<int> open_read(const std::string &path) = 0;
  /// May write fewer bytes than given (never 0 without an error).
  virtual Result<size_t> write(int handle, std::string_view bytes) = 0;
  /// Reads at `offset`; 0 bytes at the end.
  virtual Result<size_t> read_at(int handle, int64_t offset, char *out, size_t max) = 0;
  virtual Result<void> sync(int handle) = 0;
  virtual void close(int handle) = 0;
  /// Errors: not_found.
  virtual Result<FileInfo> stat(const std::string &path) = 0;
  virtual Result<void> rename(const std::string &from, const std::string &to) = 0;
  /// Removing what is not there succeeds.
  virtual Result<void> remove(const std::string &path) = 0;
  /// Mode 0700; existing is fine.
  virtual Result<void> make_directory(const std::string &path) = 0;
  virtual Result<void> sync_directory(const std::string &path) = 0;
  virtual Result<std::vector<FileInfo>> list(const std::string &directory) = 0;
};

}  // namespace vectorshard::store
