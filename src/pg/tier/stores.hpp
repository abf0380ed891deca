// Opening a store by name, and the path under which DuckDB reads one of its objects.
#pragma once
#include <memory>
#include <string>

#include "core/store/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// How long an operation is tried: as settings say, or only once more, for who waits for the answer itself.
enum class Patience { usual, little };

/// What the fabric knows of a store.
struct StoreEntry {
  std::string url;  // empty: there is no such store
  bool encrypted = false;
};
/// Needs an open transaction.
StoreEntry store_entry(const std::string &name);
/// Opens the store `name` with the credentials and keys of this node. Errors: invalid_argument, not_found (no such store), denied (no
/// credentials, no keys). Needs an open transaction.
Result<std::unique_ptr<store::Store>> try_open_store(const std::string &name, const StoreEntry &entry, Patience patience = Patience::usual);
/// Opens the store `name` of the manifest. Raises, not_found if there is none of that name. Needs an open transaction.
std::unique_ptr<store::Store> open_store(const std::string &name, Patience patience = Patience::usual);

/// Raises unless an object can be written to, read from and removed from the store now.
void probe_store(const std::string &name, const StoreEntry &entry);

/// What to do when an object lies in an archive: raise, or ask the archive for it and raise.
enum class OnArchived { raise, thaw };

/// A path in the spool directory under which the object can be read: a hard link to it, or a fetched copy. Raises when the
/// object is not there or has another size or content. A copy stays for at least a minute after the last call for it.
std::string readable_path(store::Store &store, const std::string &key, const std::string &sha256, int64_t bytes,
                          OnArchived on_archived = OnArchived::raise);

/// Raises what the error of reading an object means; may ask the archive for it.
[[noreturn]] void raise_unreadable(store::Store &store, const std::string &key, Error e, OnArchived on_archived = OnArchived::raise);

/// The folder of this node's objects in every store: objects of other nodes are never touched.
std::string own_folder();

/// A key there that nobody uses.
std::string probe_key();

/// Runs SQL with the rights of the extension's owner for a scope: the manifest is not for applications.
class AsOwner {
 public:
  AsOwner();
  ~AsOwner();
  AsOwner(const AsOwner &) = delete;
  AsOwner &operator=(const AsOwner &) = delete;

 private:
  Oid user_ = InvalidOid;
  int context_ = 0;
};

}  // namespace vectorshard::tier
