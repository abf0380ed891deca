// How many rows a scan of all clients elsewhere gives, guessed from what this node has: who is told nothing takes it for one row, and
// joins it by loops that ask every home for each.
// Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/pathnodes.h"
}

namespace vectorshard::read {

/// For the child `rel` of the table `parent`, whose heap was looked at before.
double rows_elsewhere(PlannerInfo *root, RelOptInfo *rel, Oid parent);

}  // namespace vectorshard::read
