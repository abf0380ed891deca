// What a foreign table of vectorshard_fdw is for, and the options that servers, user mappings and foreign tables take.
// Secrets are accepted in user mappings only, never on a server, whose options everybody can read.
#pragma once
#include "pg/bridge/postgres.hpp"

namespace vectorshard::read {

/// What a scan is of; of a foreign table its option "role" says so.
enum class Role {
  elsewhere,  // the rows of a vector-shard table that are not in the local heap
  partition,  // a partition that was moved to a store: a stub, which is no foreign table
  telemetry,  // reports of clients: insert only
  parquet,    // Parquet files of others in a store: read only
};

/// The role of a foreign table. Plain C: may ereport, holds no C++ object.
Role role_of(Oid foreign_table);

}  // namespace vectorshard::read
