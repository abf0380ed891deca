// What a plan of ours carries from the planner to the executor: the list in ForeignScan.fdw_private. Conditions travel
// as expressions and are turned into SQL only when another node is really asked, so that a plan for a client that is
// resident costs nothing more. The list must stay copyable and printable (plan cache, parallel workers).
#pragma once
#include "pg/read/options.hpp"
#include "pg/read/quals.hpp"

namespace vectorshard::read {

// In the conditions, $1 stands for what names clients or the home; their own parameters follow.
constexpr int kFirstConditionParam = 2;

/// Which rows elsewhere a scan gives.
enum class Part {
  all,    // those at other homes and those in segments of this node
  cold,   // in segments of this node
  homes,  // at other homes
};

/// The plan of one scan. Plain data: lists and numbers.
struct ScanPlan {
  Role role = Role::elsewhere;
  Part part = Part::all;
  Naming naming = Naming::none;  // if not none, fdw_exprs begins with the naming expression
  bool changes = false;          // the scan feeds an UPDATE or DELETE of this table
  int lock_strength = 0;         // LockClauseStrength of a row mark, 0 none
  int wait_policy = 0;           // LockWaitPolicy of the row mark
  Oid parent = InvalidOid;       // the vector-shard table
  Oid table = InvalidOid;        // the foreign child
  int ahead = 0;                 // not 0: the token of a node that may look ahead for this scan (look_ahead.hpp)
  AttrNumber client_attnum = 0;  // of the child
  List *columns = NIL;           // attribute numbers of the child that are needed (IntList)
  List *conditions = NIL;        // shippable forms (quals.hpp)

  // What other nodes do beyond finding rows. Their answers cannot be filtered here by client then, so `exact` is set: they are told
  // every client whose rows are read here.
  bool exact = false;
  bool packed = false;           // the columns come one after the other, not at their numbers
  bool distinct = false;
  int groups = 0;                // so many of the outputs, from the first, are grouped by
  List *outputs = NIL;           // instead of columns: shippable forms, each a column of the answer
  List *order = NIL;             // shippable forms; with flags kDescending and kNullsFirst in order_flags (IntList)
  List *order_flags = NIL;
  int limit = 0;                 // 0: none

  // A join instead of one table (joins.hpp). Columns of forms are then those of the leaves, by their names at the parents.
  List *leaves = NIL;            // each a list: its table (OidList), whether it is a reference table and the client's column (IntList),
                                 // of a reference table the columns that are used (IntList), forms of its conditions
  List *join = NIL;              // the number of a leaf (Integer, from 1), or a list: JoinType (Integer), left, right, conditions, filters
};

constexpr int kDescending = 1, kNullsFirst = 2;

/// Plain C; may ereport.
List *to_private(const ScanPlan &plan);
ScanPlan from_private(List *fdw_private);

}  // namespace vectorshard::read
