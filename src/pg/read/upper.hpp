// Aggregates, GROUP BY and DISTINCT over all clients of a vector-shard table: every home computes its part of the answer. Where a
// query reads one such table (or a join that homes can make, joins.hpp), names no clients, and nothing of it must stay here, it is planned as
//
//   Finalize Aggregate ─ Append ─┬ Partial Aggregate ─ Append ─┬ the heap
//                                │                             └ the child: cold clients of this node
//                                └ the child: partial aggregates of all other homes
//
// and DISTINCT alike. Each client counts once because the other homes are told exactly which clients are read here (here.hpp):
// unlike rows, states cannot be sorted out afterwards.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace vectorshard::read {

/// Installs the planner's hook. Called once, at library load.
void init_upper_paths();

}  // namespace vectorshard::read
