// Aggregates in two steps, as paths: what is computed of each part, and what is made of the parts. Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/pathnodes.h"
}

namespace vectorshard::read {

/// What a query groups by, and what both steps cost.
struct Grouping {
  Query *parse;
  GroupPathExtraData *extra;
  AggClauseCosts first, last;
  double groups;

  bool sorts() const { return extra->flags & GROUPING_CAN_USE_SORT; }
  bool hashes() const { return extra->flags & GROUPING_CAN_USE_HASH; }
};
/// Of the query's aggregates, over the rows of `input`.
Grouping grouping_of(PlannerInfo *root, RelOptInfo *input, GroupPathExtraData *extra);

/// The first step over rows; `partial`: the same rows as a parallel plan gives them, or null. The cheaper of both.
Path *first_step(PlannerInfo *root, RelOptInfo *rel, Path *rows, Path *partial, const Grouping &g);
/// Adds the last step over what the first gave to `output`, by all ways in which the query can be grouped.
void add_last_step(PlannerInfo *root, RelOptInfo *output, Path *parts, const Grouping &g);

}  // namespace vectorshard::read
