// The parts of a remote SELECT that come from the plan: names of columns, conditions as SQL, locking.
#pragma once
#include <string>
#include <vector>

#include "core/read/statements.hpp"
#include "pg/read/private.hpp"
#include "pg/read/session.hpp"
extern "C" {
#include "nodes/execnodes.h"
}

namespace vectorshard::read {

/// The present values of the expressions, as constants. What evaluates them is made if `*states` is NIL; it lives as long as the query. Plain C.
List *evaluated(List *expressions, List **states, PlanState *node);

/// A spec without clients and home: table, columns, conditions and locking of `plan`, whose expressions are
/// `expressions` (ForeignScan.fdw_exprs). With `node` parameters become their values; without (EXPLAIN) they stay $n.
SelectSpec spec_of(const ScanPlan &plan, Oid table, List *expressions, ForeignScanState *node);

/// The types and values of the conditions' parameters (from kFirstConditionParam on), appended to `form`. False: one has a collation
/// that would not travel.
bool add_values(List *expressions, ForeignScanState *node, Form *form);

}  // namespace vectorshard::read
