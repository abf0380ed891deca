// LIMIT where a query reads one vector-shard table, or a join of such, and names no clients: each home gives its first rows, in the order of the query.
// Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/read/private.hpp"

namespace vectorshard::read {

/// Adds order and limit to a plan whose conditions are there already, if no row that other nodes leave out can be in the result.
/// `clauses`: all conditions of the scan. Parameters as shippable_form().
void plan_limit(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan, List **params);
/// The same of a join that is the whole query, and whose conditions are all there.
void plan_join_limit(PlannerInfo *root, const FormOf &of, ScanPlan *plan, List **params);

}  // namespace vectorshard::read
