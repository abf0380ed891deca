// Planner callbacks of vectorshard_fdw. Plain C inside: the planner's errors pass through as they are.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/read/private.hpp"
#include "pg/read/quals.hpp"
extern "C" {
#include "foreign/fdwapi.h"
#include "nodes/pathnodes.h"
#include "nodes/plannodes.h"
}

namespace vectorshard::read {

constexpr Cost kStartup = 1;
constexpr Cost kNamed = 2;       // clients named: most are resident, a look-up
constexpr Cost kAskAll = 100;    // per scan: other nodes are asked
constexpr Cost kRemoteRow = 0.02;

/// In place of a token (look_ahead_token): the scan gives cold rows alone.
constexpr int kColdAlone = -1;

/// What the size callback learns and the later ones need (RelOptInfo.fdw_private).
struct RelPlan {
  Role role;
  Oid parent;
  Oid table;
  ClientColumn client;
  PathTarget *parent_target;  // of the parent as it was when its children were made
  const struct SegmentView *segment;  // of a partition in a store (partition_plan.hpp)
  List *inside, *here;                // its conditions (RestrictInfo): those that the segment answers, and the others
  double given;                       // its rows that those leave
  int files;                          // of others: so many
};

void get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table);
void get_paths(PlannerInfo *root, RelOptInfo *rel, Oid table);
ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *path, List *tlist, List *clauses,
                      Plan *outer);

/// Every set of outer relations that join clauses of this table can take parameters from (a list of Relids).
List *outer_sets(PlannerInfo *root, RelOptInfo *rel);
/// The columns that the query uses, and always `client` (0: none).
List *needed_columns(RelOptInfo *rel, List *clauses, Oid table, AttrNumber client);

/// Puts all of `clauses` into `plan` as conditions for other nodes; false if one names clients, or must stay here.
bool ship_conditions(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan, List **params);

/// What names the client of a parameterised scan of rows elsewhere, if that are columns of `outer` alone; else null, as for
/// scans of other wrappers.
Expr *client_from_outer(PlannerInfo *root, ForeignPath *path, Relids outer);
/// The number by which the scan and a node that looks ahead for it find each other; the path keeps it.
int look_ahead_token(ForeignPath *path);
/// True if the routines are those of vectorshard_fdw.
bool is_our_wrapper(const FdwRoutine *routine);

/// Other nodes learn of a table by the commit of the transaction that makes it: until then they have no rows of it, and no such table.
bool made_by_this_transaction(Oid table);
/// The parent of an inheritance child, or InvalidOid.
Oid parent_of(Oid child);
/// The client column of a foreign child, found by the name it has at the parent.
ClientColumn client_column(Oid parent, Oid child);

}  // namespace vectorshard::read
