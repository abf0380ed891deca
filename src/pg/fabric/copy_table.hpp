// Brings the rows of a query at another node into a local table by COPY, as PostgreSQL's own table sync does.
#pragma once
#include <string>
#include <vector>

#include "pg/bridge/link.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::fabric {

/// Runs `query` on `link` and inserts what it returns into `columns` of `relid`, in the current transaction. The caller
/// holds whatever role and settings the insert needs. Raises with the remote message when the peer fails.
void copy_from_link(bridge::Link &link, const std::string &query, Oid relid, const std::vector<std::string> &columns);

/// Raises a failed answer of a peer with the peer's own SQLSTATE, message, detail and hint.
[[noreturn]] void raise_remote(const bridge::Link &link, const Error &error);

}  // namespace vectorshard::fabric
