// The parts of a remote SELECT that come from the plan: names of columns, conditions as SQL, locking.
#pragma once
#include <string>
#include <vector>

#include "core/read/statements.hpp"
#include "pg/read/private.hpp"
extern "C" {
#include "nodes/execnodes.h"
}

namespace vectorshard::read {

/// A spec without clients and home: table, columns, conditions and locking of `plan`, whose expressions are
/// `expressions` (ForeignScan.fdw_exprs). With `node` parameters become their values; without (EXPLAIN) they stay $n.
SelectSpec spec_of(const ScanPlan &plan, Oid table, List *expressions, ForeignScanState *node);

}  // namespace vectorshard::read
