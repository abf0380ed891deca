// Scans of single segments, for use within the stage (others use api.hpp).
#pragma once
#include "pg/tier/api.hpp"

namespace vectorshard::tier {

/// All rows of a segment in the columns of `relid`.
std::unique_ptr<ColdScan> scan_segment(const std::string &name, Oid relid);

}  // namespace vectorshard::tier
