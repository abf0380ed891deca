// Joins that every home makes of its own clients' rows. All rows of a client are at its home, and at each node that reads them itself, so
// tables of clients that are joined by the client, in whatever kind of join, give the same taken home by home; and so does joining a
// reference table to that, as long as no row of it is kept for itself. Such a join is planned as
//
//   Append ─┬ Hash Join ─┬ Append (a): the heap, cold clients of this node
//           │            └ Append (b): the heap, cold clients of this node
//           └ the join by all other homes
//
// and aggregates above it as upper.hpp tells. The rows of reference tables go along with the question: another node may not have heard yet of
// what this one sees. What is not surely the same stays as PostgreSQL plans it.
// Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/family.hpp"

namespace vectorshard::read {

/// A join of a query, or a relation in one, as homes can read it (palloc'd).
struct JoinShape;

/// Installs the planner's hook. Called once, at library load.
void init_joins();

/// What homes can make of `rel`, a join with tables of clients in it; null if they cannot.
const JoinShape *join_of(RelOptInfo *rel);

/// The join's first table of clients.
const Family &first_family(const JoinShape *join);

/// Puts the join into `plan`. False if something of it must stay here. `of`: for further forms; parameters as shippable_form().
bool plan_join(PlannerInfo *root, const JoinShape *join, ScanPlan *plan, FormOf *of, List **params);

/// This node's part of the join, with the columns that `rel` has now.
Path *local_join(PlannerInfo *root, RelOptInfo *rel, const JoinShape *join);

/// Rows of the join's tables that other homes would send, each table for itself.
double rows_elsewhere_of(const JoinShape *join);

}  // namespace vectorshard::read
