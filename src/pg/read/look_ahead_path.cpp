// Planning of looking ahead: see look_ahead.hpp. A nested loop that takes the client from its outer side gets a node on that
// side; nothing else of the plan changes, so its costs stay what they were. Plain C: its errors pass through as they are.
#include "pg/read/look_ahead.hpp"
#include "pg/read/plan.hpp"
extern "C" {
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/tlist.h"
}

namespace vectorshard::read {

namespace {

set_join_pathlist_hook_type previous_join_paths = nullptr;

Plan *plan_look_ahead(PlannerInfo *, RelOptInfo *, CustomPath *path, List *tlist, List *, List *plans) {
  CustomScan *scan = makeNode(CustomScan);
  scan->scan.plan.targetlist = tlist;
  scan->flags = path->flags;
  scan->custom_plans = plans;
  scan->custom_exprs = list_make1(linitial(path->custom_private));
  scan->custom_private = list_make1(lsecond(path->custom_private));
  scan->custom_scan_tlist = static_cast<List *>(copyObjectImpl(linitial_node(Plan, plans)->targetlist));
  scan->methods = look_ahead_methods();
  return &scan->scan.plan;
}

const CustomPathMethods path_methods = {kLookAheadName, plan_look_ahead, nullptr};

bool is_look_ahead(const Path *path) { return IsA(path, CustomPath) && reinterpret_cast<const CustomPath *>(path)->methods == &path_methods; }

/// The scan of rows elsewhere that the inner side of a nested loop ends in, if it is one of a vector-shard table.
ForeignPath *elsewhere_below(Path *inner) {
  if (IsA(inner, MemoizePath)) inner = castNode(MemoizePath, inner)->subpath;
  if (!IsA(inner, AppendPath)) return nullptr;
  ListCell *lc;
  foreach (lc, castNode(AppendPath, inner)->subpaths)
    if (IsA(lfirst(lc), ForeignPath)) return lfirst_node(ForeignPath, lc);
  return nullptr;
}

Path *look_ahead(Path *outer, Expr *client, int token) {
  CustomPath *path = makeNode(CustomPath);
  path->path = *outer;
  path->path.type = T_CustomPath;
  path->path.pathtype = T_CustomScan;
  path->path.parallel_aware = false;
  path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
  path->custom_paths = list_make1(outer);
  path->custom_private = list_make2(client, list_make1_int(token));
  path->methods = &path_methods;
  return &path->path;
}

void look_ahead_in(PlannerInfo *root, NestPath *loop) {
  Path *outer = loop->jpath.outerjoinpath;
  if (is_look_ahead(outer) || outer->rows < 2) return;
  ForeignPath *elsewhere = elsewhere_below(loop->jpath.innerjoinpath);
  Expr *client = elsewhere ? client_from_outer(root, elsewhere, outer->parent->relids) : nullptr;
  if (client) loop->jpath.outerjoinpath = look_ahead(outer, client, look_ahead_token(elsewhere));
}

/// Rows that are locked or changed are read one by one: they must not be older than the lock.
void join_paths(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner, JoinType type, JoinPathExtraData *extra) {
  if (previous_join_paths) previous_join_paths(root, join, outer, inner, type, extra);
  if (root->parse->commandType != CMD_SELECT || root->rowMarks != NIL) return;
  ListCell *lc;
  foreach (lc, join->pathlist) {
    Path *path = static_cast<Path *>(lfirst(lc));
    if (!IsA(path, NestPath)) continue;
    NestPath *loop = castNode(NestPath, path);
    if (loop->jpath.outerjoinpath->parent == outer && loop->jpath.innerjoinpath->parent == inner) look_ahead_in(root, loop);
  }
}

}  // namespace

void init_look_ahead() {
  RegisterCustomScanMethods(look_ahead_methods());
  previous_join_paths = set_join_pathlist_hook;
  set_join_pathlist_hook = join_paths;
}

}  // namespace vectorshard::read
