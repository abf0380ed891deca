// Opening a store by name, and the path under which DuckDB reads one of its objects.
#pragma once
#include <memory>
#include <string>

#include "core/store/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// Opens the store of that URL. Raises for kinds that are not known.
std::unique_ptr<store::Store> open_store_url(const std::string &url);
/// Opens the store `name` of the manifest. Raises not_found with a hint. Needs an open transaction.
std::unique_ptr<store::Store> open_store(const std::string &name);

/// Raises unless an object can be written to, read from and removed from the store now.
void probe_store(const std::string &name, const std::string &url);

/// A path in the spool directory under which the object can be read: a hard link to it, or a fetched copy. Raises when the
/// object is not there or has another size.
std::string readable_path(store::Store &store, const std::string &key, const std::string &sha256, int64_t bytes);

/// The folder of this node's objects in every store: objects of other nodes are never touched.
std::string own_folder();

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
