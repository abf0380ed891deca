// Aggregates in two halves: what each node computes of its own rows, and what is made of it here. Only aggregates of PostgreSQL
// whose states can be joined are halved, and only if every part of them may run on another node (quals.hpp).
// Plain C throughout: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/quals.hpp"
extern "C" {
#include "nodes/pathnodes.h"
}

namespace vectorshard::read {

/// What the first half gives: the columns that `grouped` is grouped by, `groups` of them, then the states of all aggregates in
/// `grouped` and `having`. Null if anything else is in there.
PathTarget *partial_target(PlannerInfo *root, PathTarget *grouped, Node *having, int *groups);

/// The expressions by which another node gives that half: those of `target` as forms, with aggregates that end in their state. NIL if
/// one of them must stay here. Parameters as shippable_form().
List *remote_outputs(PlannerInfo *root, PathTarget *target, const FormOf &of, List **params);

/// Where equal rows count once in all aggregates of `grouped` and `having` (DISTINCT, min, max): the columns that `grouped` is grouped by
/// and all arguments, of which each node may then give every row once. Null if anything else is in there.
PathTarget *once_target(PlannerInfo *root, PathTarget *grouped, Node *having);

}  // namespace vectorshard::read
