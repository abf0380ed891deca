// The spool directory: see spool.hpp.
#include "pg/tier/spool.hpp"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "pg/bridge/guard.hpp"

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

/// Copies of objects of stores on other file systems are a cache. Links (with a second name in the store) cost nothing.
void purge_copies() {
  std::string directory = spool_directory() + "/read";
  DIR *dir = opendir(directory.c_str());
  if (!dir) return;
  while (dirent *entry = readdir(dir)) {
    struct stat info;
    std::string path = directory + "/" + entry->d_name;
    if (lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode) || info.st_nlink > 1) continue;
    if (time(nullptr) - info.st_ctime > kCopyKeptS) remove_file(path);
  }
  closedir(dir);
}

}  // namespace

std::string spool_directory() { return std::string(DataDir) + "/vectorshard/spool"; }

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
  purge_copies();
}

void remove_file(const std::string &path) noexcept { (void)unlink(path.c_str()); }

std::string sql_literal(const std::string &s) { return doubled(s, '\''); }
std::string sql_identifier(const std::string &s) { return doubled(s, '"'); }

}  // namespace vectorshard::tier
