// The path under which an object is read (stores.hpp): a second name for a file of a store on this file system, or a copy that is
// fetched once by whoever is first. Copies are a cache of bounded size (spool.hpp).
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/store/sha256.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"
#include "pg/tier/thaws.hpp"
extern "C" {
#include "pgstat.h"
}

namespace vectorshard::tier {

namespace {

constexpr const char *kRestore = "Restore the object, or the store's directory, from its backup.";

}  // namespace

void raise_unreadable(store::Store &store, const std::string &key, Error e, OnArchived on_archived) {
  e.detail = e.detail.empty() ? "The store says: " + e.message + "." : e.detail;
  e.message = "segment object \"" + key + "\" cannot be read";
  if (e.code == Errc::not_found || (e.code == Errc::denied && !store.local_path(key).empty())) e.code = Errc::io;
  if (e.hint.empty()) e.hint = kRestore;
  if (e.code == Errc::archived) {
    Result<void> asked = on_archived == OnArchived::thaw ? store.thaw(key) : Result<void>{};
    if (!asked.ok()) e.detail += " " + asked.error().detail;
    if (asked.ok() && on_archived == OnArchived::thaw) note_thaw(key);
    ThawOutlook outlook = thaw_outlook(store, key);
    e.detail = outlook.words + " " + e.detail;
    bool thawing = outlook.availability != store::Availability::archived;
    e.message = "segment object \"" + key + "\" " + (thawing ? "is being thawed" : "lies in an archive");
    e.hint = thawing ? "Wait until it is there." : "Ask for it with vectorshard.thaw(segment), and wait as long as the store takes.";
  }
  bridge::raise(e);
}

namespace {

/// One process at a time fetches an object; whoever waits can be cancelled.
class FetchLock {
 public:
  explicit FetchLock(const std::string &path) {
    fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd_ < 0) bridge::raise({Errc::io, "could not open file \"" + path + "\": " + strerror(errno), "", ""});
    while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
      // The destructor does not run if this constructor raises.
      try {
        bridge::pg_call([] {
          CHECK_FOR_INTERRUPTS();
          pgstat_report_wait_start(PG_WAIT_EXTENSION);
          pg_usleep(20000);
          pgstat_report_wait_end();
        });
      } catch (...) {
        close(fd_);
        throw;
      }
    }
  }
  ~FetchLock() { close(fd_); }
  FetchLock(const FetchLock &) = delete;
  FetchLock &operator=(const FetchLock &) = delete;

 private:
  int fd_;
};

/// True if the object came whole; false if its bytes are others than the manifest says.
bool fetch_once(store::Store &store, const std::string &key, const std::string &sha256, const std::string &path,
                OnArchived on_archived, std::string *found) {
  SpoolFile guard(spool_file("fetch"));
  {
    HashedFileSink sink(guard.path());
    Result<void> got = store.get(key, sink);
    if (!got.ok()) raise_unreadable(store, key, got.error(), on_archived);
    *found = sink.sha256();
  }
  if (*found != sha256) return false;
  bridge::value_or_raise(posix_files().rename(guard.path(), path));
  return true;
}

[[noreturn]] void raise_damaged(const std::string &key, const std::string &found, const std::string &sha256) {
  bridge::raise({Errc::corrupt, "segment object \"" + key + "\" is damaged", "Its SHA-256 is " + found + ", the manifest says " + sha256 + ".", kRestore});
}

void fetch(store::Store &store, const std::string &key, const std::string &sha256, const std::string &path,
           OnArchived on_archived) {
  FetchLock lock(path + ".lock");
  if (copy_is_there(path)) return;  // another process was faster
  std::string found;
  // Bytes may change on their way: a second time tells that from a damaged object.
  if (fetch_once(store, key, sha256, path, on_archived, &found) || fetch_once(store, key, sha256, path, on_archived, &found)) {
    bound_copies();
    return;
  }
  raise_damaged(key, found, sha256);
}

/// A second name for a file of a store on the same file system; DuckDB would follow a symbolic link out of its sandbox.
/// Somebody else may make the same name meanwhile.
bool link_to(const std::string &target, const std::string &path) {
  return link(target.c_str(), path.c_str()) == 0 || errno == EEXIST;
}

}  // namespace

std::string readable_path(store::Store &store, const std::string &key, const std::string &sha256, int64_t bytes,
                          OnArchived on_archived) {
  std::string local = store.local_path(key);
  ensure_spool();
  std::string path = spool_copy(sha256);
  if (local.empty()) {
    if (!copy_is_there(path)) fetch(store, key, sha256, path, on_archived);
    return path;
  }
  auto head = store.head(key);
  if (!head.ok()) raise_unreadable(store, key, head.error(), on_archived);
  if (head.value().bytes != bytes)
    bridge::raise({Errc::corrupt, "segment object \"" + key + "\" cannot be read",
                   "It has " + std::to_string(head.value().bytes) + " bytes, the manifest says " + std::to_string(bytes) + ".",
                   kRestore});
  if (copy_is_there(path)) return path;
  // Looked at when it gets its second name, and not each time that it is read.
  store::Sha256 sha;
  read_file(local, [&](std::string_view block) { sha.add(block); });
  if (std::string found = sha.hex(); found != sha256) raise_damaged(key, found, sha256);
  if (!link_to(local, path)) fetch(store, key, sha256, path, on_archived);
  return path;
}

}  // namespace vectorshard::tier
