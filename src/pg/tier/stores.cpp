// Stores: see stores.hpp.
#include "pg/tier/stores.hpp"

#include <unistd.h>

#include <cerrno>

#include "core/store/file_store.hpp"
#include "core/store/sha256.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/posix_files.hpp"
#include "pg/tier/spool.hpp"
extern "C" {
#include "catalog/pg_authid.h"
}

namespace vectorshard::tier {

namespace {

std::string temporary_tag() { return std::to_string(MyProcPid); }

/// Writes an object into a local file while it is fetched, and hashes it.
class FileSink : public store::ByteSink {
 public:
  explicit FileSink(int handle) : handle_(handle) {}
  Result<void> write(std::string_view bytes) override {
    sha_.add(bytes);
    while (!bytes.empty()) {
      auto n = posix_files().write(handle_, bytes);
      if (!n.ok()) return n.error();
      bytes.remove_prefix(n.value());
    }
    return {};
  }
  std::string sha256() { return sha_.hex(); }

 private:
  int handle_;
  store::Sha256 sha_;
};

void fetch(store::Store &store, const std::string &key, const std::string &sha256, const std::string &path) {
  std::string temporary = spool_file("fetch");
  SpoolFile guard(temporary);
  int handle = bridge::value_or_raise(posix_files().create(temporary));
  FileSink sink(handle);
  Result<void> got = store.get(key, sink);
  posix_files().close(handle);
  bridge::value_or_raise(std::move(got));
  if (std::string found = sink.sha256(); found != sha256)
    bridge::raise({Errc::corrupt, "segment object \"" + key + "\" is damaged",
                   "Its SHA-256 is " + found + ", the manifest says " + sha256 + ".",
                   "Restore the object, or the store's directory, from its backup."});
  bridge::value_or_raise(posix_files().rename(temporary, path));
}

/// A second name for a file of a store on the same file system; DuckDB would follow a symbolic link out of its sandbox.
/// Somebody else may make the same name meanwhile.
bool link_to(const std::string &target, const std::string &path) {
  return link(target.c_str(), path.c_str()) == 0 || errno == EEXIST;
}

}  // namespace

std::unique_ptr<store::Store> open_store_url(const std::string &url) {
  std::string root = bridge::value_or_raise(store::path_of_url(url));
  return std::make_unique<store::FileStore>(posix_files(), root, temporary_tag());
}

std::unique_ptr<store::Store> open_store(const std::string &name) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT url FROM vectorshard.store WHERE store = $1", {bridge::p_text(name)}, true);
  if (rows.empty())
    bridge::raise({Errc::not_found, "store \"" + name + "\" does not exist", "",
                   "Add it with vectorshard.add_store(name, url)."});
  return open_store_url(rows.at(0, 0));
}

void probe_store(const std::string &name, const std::string &url) {
  std::string root = bridge::value_or_raise(store::path_of_url(url));
  store::FileStore store(posix_files(), root, temporary_tag());
  Result<void> probed = store.probe();
  if (probed.ok()) return;
  Error e = probed.error();
  e.detail = e.message + (e.detail.empty() ? "" : " " + e.detail);
  e.detail[0] = static_cast<char>(toupper(e.detail[0]));
  e.detail += ".";
  e.message = "store \"" + name + "\" cannot be written";
  if (e.code == Errc::not_found || e.code == Errc::denied) e.code = Errc::io;  // of the directory, not of an SQL object
  if (e.hint.empty()) e.hint = "Make the directory and give it to the operating system user of the server.";
  bridge::raise(e);
}

std::string readable_path(store::Store &store, const std::string &key, const std::string &sha256, int64_t bytes) {
  auto head = store.head(key);
  if (!head.ok() || head.value().bytes != bytes) {
    std::string found = head.ok() ? "It has " + std::to_string(head.value().bytes) + " bytes, the manifest says " +
                                        std::to_string(bytes) + "."
                                  : "The store says: " + head.error().message + ".";
    Errc code = head.ok() ? Errc::corrupt : head.error().code;
    if (code == Errc::not_found || code == Errc::denied) code = Errc::io;
    bridge::raise({code, "segment object \"" + key + "\" cannot be read", found,
                   "Restore the object, or the store's directory, from its backup."});
  }
  ensure_spool();
  std::string path = spool_directory() + "/read/" + sha256 + ".parquet";
  std::string local = store.local_path(key);
  if (access(path.c_str(), R_OK) == 0) return path;
  if (local.empty() || !link_to(local, path)) fetch(store, key, sha256, path);
  return path;
}

std::string own_folder() { return "node" + std::to_string(bridge::self_node()); }

AsOwner::AsOwner() {
  GetUserIdAndSecContext(&user_, &context_);
  SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
}

AsOwner::~AsOwner() { SetUserIdAndSecContext(user_, context_); }

}  // namespace vectorshard::tier
