// The real file operations behind core/store/file_ops.hpp, and reading a whole local file in blocks.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/store/file_ops.hpp"
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

}  // namespace vectorshard::tier
