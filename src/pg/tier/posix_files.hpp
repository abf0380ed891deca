// The real file operations behind core/store/file_ops.hpp, and reading a whole local file in blocks.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/store/file_ops.hpp"
#include "core/store/sha256.hpp"
#include "core/store/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// The operations of this process.
store::FileOps &posix_files();

/// Gives the file's bytes to `take` in blocks, checking for interrupts; returns how many. Raises.
int64_t read_file(const std::string &path, const std::function<void(std::string_view)> &take);

/// A local file as the source of a put().
class FileSource : public store::ByteSource {
 public:
  explicit FileSource(std::string path) : path_(std::move(path)) {}
  ~FileSource() override;
  Result<size_t> read(char *out, size_t max) override;
  Result<void> rewind() override {
    at_ = 0;
    return {};
  }

 private:
  std::string path_;
  int handle_ = -1;
  int64_t at_ = 0;
};

/// A local file, made anew, as the sink of a get(). Making it raises if it cannot be made.
class FileSink : public store::ByteSink {
 public:
  explicit FileSink(const std::string &path);
  ~FileSink() override;
  FileSink(const FileSink &) = delete;
  FileSink &operator=(const FileSink &) = delete;
  Result<void> write(std::string_view bytes) override;

 private:
  int handle_;
};

/// The same, hashed.
class HashedFileSink : public FileSink {
 public:
  using FileSink::FileSink;
  Result<void> write(std::string_view bytes) override {
    sha_.add(bytes);
    return FileSink::write(bytes);
  }
  std::string sha256() { return sha_.hex(); }

 private:
  store::Sha256 sha_;
};

}  // namespace vectorshard::tier
