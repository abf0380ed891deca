// The spool directory: see spool.hpp.
#include "pg/tier/spool.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

namespace {

void make_directory(const std::string &path) {
  if (mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return;
  std::string why = strerror(errno);
  bridge::raise_sqlstate(ERRCODE_IO_ERROR, "could not make directory \"" + path + "\": " + why);
}

std::string doubled(const std::string &s, char quote) {
  std::string out(1, quote);
  for (char c : s) {
    if (c == quote) out += c;
    out += c;
  }
  return out + quote;
}

/// The process id in "<what>-<pid>-<n>.tmp", 0 if the name has another form.
int pid_of(const std::string &name) {
  if (name.size() < 5 || name.substr(name.size() - 4) != ".tmp") return 0;
  size_t last = name.rfind('-');
  size_t before = last == std::string::npos || last == 0 ? std::string::npos : name.rfind('-', last - 1);
  if (before == std::string::npos) return 0;
  return atoi(name.c_str() + before + 1);
}

constexpr time_t kCopyKeptS = 3600;
constexpr time_t kCopyInUseS = 60;

/// A sparse copy goes with its map, which goes first: a map never tells of blocks that are not there.
void remove_copy(const std::string &path) {
  remove_file(path + kMapSuffix);
  remove_file(path);
}

bool is_map(const std::string &name) { return name.ends_with(kMapSuffix); }

struct Copy {
  time_t asked;
  off_t bytes;
  std::string path;
};

/// Copies of objects of stores elsewhere are a cache. Links (with a second name in the store) cost nothing.
void purge_copies(time_t kept_s, int64_t most_bytes) {
  std::string directory = spool_directory() + "/read";
  CopiesLock lock(CopiesLock::For::removal);
  DIR *dir = opendir(directory.c_str());
  if (!dir) return;
  std::vector<Copy> copies;
  int64_t bytes = 0;
  while (dirent *entry = readdir(dir)) {
    struct stat info;
    std::string path = directory + "/" + entry->d_name;
    if (entry->d_name[0] == '.' || is_map(path) || lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1) continue;
    off_t on_disk = std::min<off_t>(info.st_size, info.st_blocks * 512);  // of a sparse one: what is there
    copies.push_back({info.st_ctime, on_disk, path});
    bytes += on_disk;
  }
  closedir(dir);
  std::sort(copies.begin(), copies.end(), [](const Copy &a, const Copy &b) { return a.asked < b.asked; });
  for (const Copy &c : copies) {
    time_t age_s = time(nullptr) - c.asked;
    if (age_s <= kCopyInUseS || (age_s <= kept_s && bytes <= most_bytes)) continue;
    remove_copy(c.path);
    bytes -= c.bytes;
  }
}

int64_t cache_bytes() { return int64_t{bridge::guc::store_cache_mb} << 20; }

}  // namespace

// Base backups and pg_rewind leave out what begins with pgsql_tmp: copies can always be made again, may be decrypted, and have names that
// pg_basebackup would refuse for their length.
std::string spool_directory() { return std::string(DataDir) + "/vectorshard/pgsql_tmp_spool"; }

void ensure_spool() {
  make_directory(std::string(DataDir) + "/vectorshard");
  make_directory(spool_directory());
  make_directory(spool_directory() + "/read");
}

std::string spool_file(const std::string &what) {
  static int number = 0;
  return spool_directory() + "/" + what + "-" + std::to_string(MyProcPid) + "-" + std::to_string(++number) + ".tmp";
}

void purge_spool() {
  DIR *dir = opendir(spool_directory().c_str());
  if (!dir) return;
  while (dirent *entry = readdir(dir)) {
    int pid = pid_of(entry->d_name);
    if (pid > 0 && pid != MyProcPid && kill(pid, 0) != 0 && errno == ESRCH)
      remove_file(spool_directory() + "/" + entry->d_name);
  }
  closedir(dir);
  purge_copies(kCopyKeptS, cache_bytes());
}

std::string spool_copy(const std::string &sha256) { return spool_directory() + "/read/" + sha256 + ".parquet"; }

std::string spool_sparse(const std::string &sha256) {
  return spool_directory() + "/read/" + sha256 + "." + std::to_string(PgStartTime) + ".sparse.parquet";
}

CopiesLock::CopiesLock(For what) : fd_(open((spool_directory() + "/read/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (fd_ >= 0)
    while (flock(fd_, what == For::use ? LOCK_SH : LOCK_EX) != 0 && errno == EINTR) {}
}

CopiesLock::~CopiesLock() {
  if (fd_ >= 0) close(fd_);
}

bool copy_is_there(const std::string &path) {
  CopiesLock lock(CopiesLock::For::use);
  struct stat info;
  if (stat(path.c_str(), &info) != 0 || access(path.c_str(), R_OK) != 0) return false;
  if (info.st_nlink == 1) (void)utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // not of a store's own file
  return true;
}

void remove_copies(const std::string &sha256) {
  CopiesLock lock(CopiesLock::For::removal);
  remove_file(spool_copy(sha256));
  remove_copy(spool_sparse(sha256));
}

void bound_copies() { purge_copies(kCopyKeptS, cache_bytes()); }

void remove_file(const std::string &path) noexcept { (void)unlink(path.c_str()); }

std::string sql_literal(const std::string &s) { return doubled(s, '\''); }
std::string sql_identifier(const std::string &s) { return doubled(s, '"'); }

}  // namespace vectorshard::tier
