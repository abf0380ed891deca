// Planner callbacks of vectorshard_fdw. Plain C inside: the planner's errors pass through as they are.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/quals.hpp"
extern "C" {
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace vectorshard::read {

void get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table);
void get_paths(PlannerInfo *root, RelOptInfo *rel, Oid table);
ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *path, List *tlist, List *clauses,
                      Plan *outer);

/// The parent of an inheritance child, or InvalidOid.
Oid parent_of(Oid child);
/// The client column of a foreign child, found by the name it has at the parent.
ClientColumn client_column(Oid parent, Oid child);

}  // namespace vectorshard::read
