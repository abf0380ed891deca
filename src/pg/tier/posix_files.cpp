// File operations by POSIX calls: see posix_files.hpp. Errors keep the errno's class, so that a full disk, a missing
// right and a missing file read differently.
#include "pg/tier/posix_files.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "pg/bridge/guard.hpp"
#include "pg/tier/progress.hpp"

namespace vectorshard::tier {

namespace {

using store::FileInfo;

Error failure(const std::string &what, const std::string &path) {
  int e = errno;
  Errc code = Errc::io;
  if (e == ENOENT || e == ENOTDIR) code = Errc::not_found;
  if (e == EACCES || e == EPERM || e == EROFS) code = Errc::denied;
  if (e == ENOSPC || e == EDQUOT) code = Errc::no_space;
  if (e == EEXIST) code = Errc::conflict;
  std::string hint;
  if (code == Errc::denied) hint = "The operating system user of the server needs read and write rights there.";
  if (code == Errc::no_space) hint = "Free space in the store's file system.";
  return {code, "could not " + what + " \"" + path + "\": " + strerror(e), "", hint};
}

FileInfo info_of(const std::string &name, const struct stat &st) {
  return {name, static_cast<int64_t>(st.st_size), static_cast<int64_t>(time(nullptr) - st.st_mtime),
          S_ISDIR(st.st_mode)};
}

class PosixFiles : public store::FileOps {
 public:
  Result<int> create(const std::string &path) override {
    int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return failure("create file", path);
    return fd;
  }
  Result<int> open_read(const std::string &path) override {
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failure("open file", path);
    return fd;
  }
  Result<size_t> write(int handle, std::string_view bytes) override {
    ssize_t n;
    do n = ::write(handle, bytes.data(), bytes.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return failure("write", "object");
    return static_cast<size_t>(n);
  }
  Result<size_t> read_at(int handle, int64_t offset, char *out, size_t max) override {
    ssize_t n;
    do n = pread(handle, out, max, offset);
    while (n < 0 && errno == EINTR);
    if (n < 0) return failure("read", "object");
    return static_cast<size_t>(n);
  }
  Result<void> sync(int handle) override {
    if (fsync(handle) != 0) return failure("sync", "object");
    return {};
  }
  void close(int handle) override { ::close(handle); }
  Result<FileInfo> stat(const std::string &path) override {
    struct stat st;
    if (::stat(path.c_str(), &st) != 0) return failure("look at", path);
    return info_of(path, st);
  }
  Result<void> rename(const std::string &from, const std::string &to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) return failure("rename to", to);
    return {};
  }
  Result<void> remove(const std::string &path) override {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) return failure("remove file", path);
    return {};
  }
  Result<void> make_directory(const std::string &path) override {
    if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failure("make directory", path);
    return {};
  }
  Result<void> sync_directory(const std::string &path) override {
    int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return failure("open directory", path);
    int rc = fsync(fd);
    int e = errno;
    ::close(fd);
    errno = e;
    // Some file systems refuse to sync a directory; there is nothing more to do there.
    if (rc != 0 && e != EINVAL) return failure("sync directory", path);
    return {};
  }
  Result<std::vector<FileInfo>> list(const std::string &directory) override {
    DIR *dir = opendir(directory.c_str());
    if (!dir) return failure("list directory", directory);
    std::vector<FileInfo> out;
    while (dirent *entry = readdir(dir)) {
      std::string name = entry->d_name;
      struct stat st;
      if (name != "." && name != ".." && ::stat((directory + "/" + name).c_str(), &st) == 0)
        out.push_back(info_of(name, st));
    }
    closedir(dir);
    return out;
  }
};

}  // namespace

store::FileOps &posix_files() {
  static PosixFiles files;
  return files;
}

int64_t read_file(const std::string &path, const std::function<void(std::string_view)> &take) {
  FileSource source(path);
  std::string block(1 << 18, '\0');
  int64_t bytes = 0;
  while (true) {
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    size_t n = bridge::value_or_raise(source.read(block.data(), block.size()));
    if (n == 0) return bytes;
    take(std::string_view(block.data(), n));
    bytes += static_cast<int64_t>(n);
  }
}

FileSink::FileSink(const std::string &path) : handle_(bridge::value_or_raise(posix_files().create(path))) {}

FileSink::~FileSink() { posix_files().close(handle_); }

Result<void> FileSink::write(std::string_view bytes) {
  while (!bytes.empty()) {
    auto n = posix_files().write(handle_, bytes);
    if (!n.ok()) return n.error();
    bytes.remove_prefix(n.value());
  }
  return {};
}

FileSource::~FileSource() {
  if (handle_ >= 0) posix_files().close(handle_);
}

Result<size_t> FileSource::read(char *out, size_t max) {
  if (handle_ < 0) {
    auto opened = posix_files().open_read(path_);
    if (!opened.ok()) return opened.error();
    handle_ = opened.value();
  }
  auto n = posix_files().read_at(handle_, at_, out, max);
  if (n.ok()) at_ += static_cast<int64_t>(n.value());
  if (n.ok()) count_bytes(Phase::storing, n.value());
  return n;
}

}  // namespace vectorshard::tier
