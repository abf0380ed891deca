// The keys of encrypted stores: see store_keys.hpp.
#include "pg/tier/store_keys.hpp"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

namespace {

constexpr off_t kFileMax = 1 << 20;
constexpr const char *kHow = "Write it by: (umask 077; echo \"2026-01 $(openssl rand -base64 32)\" >> file); then set vectorshard.store_key_file.";

struct OpenFile {
  int fd;
  ~OpenFile() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Result<store::KeyRing> store_keys(const std::string &store) {
  std::string path = bridge::guc::store_key_file ? bridge::guc::store_key_file : "";
  std::string refused = "store \"" + store + "\" is encrypted, and its keys cannot be read";
  if (path.empty() || path == "none") return Error{Errc::denied, "store \"" + store + "\" is encrypted, and this node has no keys", "vectorshard.store_key_file names no file.", kHow};
  if (path[0] != '/') path = std::string(DataDir) + "/" + path;
  OpenFile file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info;
  if (file.fd < 0 || fstat(file.fd, &info) != 0)
    return Error{Errc::io, refused, "File \"" + path + "\": " + strerror(errno) + ".", "The operating system user of the server must be able to read it."};
  // As PostgreSQL demands of the key of its certificate.
  bool root_for_group = info.st_uid == 0 && (info.st_mode & (S_IWGRP | S_IXGRP | S_IRWXO)) == 0;
  if (!S_ISREG(info.st_mode) || (!root_for_group && (info.st_mode & (S_IRWXG | S_IRWXO)) != 0))
    return Error{Errc::denied, refused, "File \"" + path + "\" is no file, or others than the server may read it.", "Let it have mode 0600, or 0640 if root owns it."};
  if (info.st_size > kFileMax) return Error{Errc::invalid_argument, refused, "File \"" + path + "\" has more than 1 MB.", kHow};
  std::string text(static_cast<size_t>(info.st_size), '\0');
  ssize_t n = pread(file.fd, text.data(), text.size(), 0);
  if (n < 0) return Error{Errc::io, refused, "File \"" + path + "\": " + strerror(errno) + ".", ""};
  auto keys = store::read_key_ring(std::string_view(text).substr(0, static_cast<size_t>(n)));
  OPENSSL_cleanse(text.data(), text.size());
  if (keys.ok()) return keys;
  Error e = keys.error();
  e.detail = "File \"" + path + "\": " + e.message + (e.detail.empty() ? "." : ". " + e.detail);
  e.message = refused;
  return e;
}

}  // namespace vectorshard::tier
