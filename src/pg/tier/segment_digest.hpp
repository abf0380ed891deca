// The digest of what lies in a segment's file, as it lies there: independent of what its table has become since.
#pragma once
#include <string>
#include <vector>

#include "core/tier/digest.hpp"
#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// Reads the whole file. Needs an open transaction. Raises what DuckDB raises.
RowDigest stored_digest(const std::string &path, const std::vector<ManifestColumn> &columns);

}  // namespace vectorshard::tier
