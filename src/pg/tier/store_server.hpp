// Where the credentials of a store stand: in the user mapping of the owner of the foreign server that has the store's name.
// Whoever reads rows in a store, and the worker, uses that one; nobody else needs any.
#pragma once
#include <map>
#include <string>

#include "core/base/result.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

struct StoreServer {
  std::map<std::string, std::string> options, mapping;
  bool there = false, mapped = false;
  bool allow_http() const;
  /// Of an option of the mapping or the server; "" if it is not set.
  std::string secret(const std::string &name) const;
  std::string option(const std::string &name) const;
};

/// What this node knows of the store `name`. Needs an open transaction.
StoreServer store_server(const std::string &name);

/// The error of a store for which this node has no credentials, or not all of them.
Error no_credentials(const std::string &name, const StoreServer &server, bool azure);

}  // namespace vectorshard::tier
