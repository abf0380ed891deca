// The shape of a join that homes can make (joins.hpp): a tree of tables. Plain C: runs in the planner, may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/joins.hpp"

namespace vectorshard::read {

constexpr int kTable = -1;
constexpr double kRowBytes = 24;  // of a row that is sent, beside its values

struct JoinShape {
  const void *mark;           // tells such a thing in RelOptInfo.fdw_private, which is nobody's for joins without a wrapper
  int type;                   // JoinType, or kTable
  RelOptInfo *rel;
  // A table.
  Oid table;
  ClientColumn client;        // of the table itself; none: a reference table
  Family family;
  // A join.
  const JoinShape *left, *right;
  List *conditions, *filters;  // expressions: what is joined by, and what holds of the rows afterwards

  bool clients;               // there are tables of clients in it
  bool home;                  // and they are of consistency home
  bool pending;               // some of its filters must stand behind WHERE
  Relids visible;             // whose columns it has: not those that EXISTS looks at
  Index security;             // conditions above this level must not go before those of its tables
  double elsewhere, share;    // rows of its tables elsewhere; what part of its own rows is
  double bytes;               // of those rows
  Path *local;                // what this node makes of it, of what it reads itself
};

/// `rel` as part of a join; null if homes cannot read it so.
const JoinShape *shape_of(PlannerInfo *root, RelOptInfo *rel);

/// The join of two; null if homes cannot make it. Without `local`.
JoinShape *joined(PlannerInfo *root, RelOptInfo *join, const JoinShape *left, const JoinShape *right, JoinType type, List *restrictions);

}  // namespace vectorshard::read
