// Planning joins that homes make: see joins.hpp. Plain C inside: the planner's errors pass through as they are.
#include "pg/read/joins.hpp"

#include "core/base/ids.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/read/join_shape.hpp"
#include "pg/read/limit.hpp"
extern "C" {
#include "access/sysattr.h"
#include "nodes/makefuncs.h"
#include "nodes/value.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "optimizer/tlist.h"
}

namespace vectorshard::read {

namespace {

set_join_pathlist_hook_type previous = nullptr;

constexpr Cost kByte = 0.003;
constexpr double kHomesGuessed = 3;  // that send as many rows each as there is a LIMIT

void tables_of(const JoinShape *s, List **tables) {
  if (s->type == kTable) {
    *tables = lappend(*tables, const_cast<JoinShape *>(s));
    return;
  }
  tables_of(s->left, tables);
  tables_of(s->right, tables);
}

/// Forms of expressions, or of the conditions of a table; false if one must stay here.
bool forms_of(PlannerInfo *root, List *expressions, const FormOf &of, List **params, List **out) {
  ListCell *lc;
  foreach (lc, expressions) {
    Expr *expression = static_cast<Expr *>(lfirst(lc));
    if (IsA(expression, RestrictInfo)) expression = reinterpret_cast<RestrictInfo *>(expression)->clause;
    Expr *form = shippable_form(root, expression, of, kFirstConditionParam, params);
    if (!form) return false;
    *out = lappend(*out, form);
  }
  return true;
}

List *columns_of(RelOptInfo *rel) {
  Bitmapset *used = nullptr;
  pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
  ListCell *lc;
  foreach (lc, rel->baserestrictinfo) pull_varattnos(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, lc)->clause), rel->relid, &used);
  List *out = NIL;
  for (int i = -1; (i = bms_next_member(used, i)) >= 0;) out = lappend_int(out, i + FirstLowInvalidHeapAttributeNumber);
  return out;
}

/// The tree of the plan; null if something of it must stay here.
Node *tree_of(PlannerInfo *root, const JoinShape *s, ScanPlan *plan, const FormOf &of, List **params) {
  if (s->type == kTable) {
    List *conditions = NIL;
    if (!forms_of(root, s->rel->baserestrictinfo, of, params, &conditions)) return nullptr;
    plan->leaves = lappend(plan->leaves, list_make4(list_make1_oid(s->table), list_make2_int(!s->clients, s->client.attnum),
                                                    s->clients ? NIL : columns_of(s->rel), conditions));
    return reinterpret_cast<Node *>(makeInteger(list_length(plan->leaves)));
  }
  Node *left = tree_of(root, s->left, plan, of, params);
  Node *right = left ? tree_of(root, s->right, plan, of, params) : nullptr;
  List *conditions = NIL, *filters = NIL;
  if (!right || !forms_of(root, s->conditions, of, params, &conditions) || !forms_of(root, s->filters, of, params, &filters)) return nullptr;
  return reinterpret_cast<Node *>(list_make5(makeInteger(s->type), left, right, conditions, filters));
}

/// What this node makes of a part of a join; null if that depends on other relations.
Path *local_of(PlannerInfo *root, const JoinShape *s) {
  if (s->clients) return s->type == kTable ? local_rows(root, s->family, false) : s->local;
  return s->rel->cheapest_total_path->param_info ? nullptr : s->rel->cheapest_total_path;
}

List *hash_conditions(RelOptInfo *join, Path *outer, Path *inner, JoinType type, List *restrictions) {
  Relids left = outer->parent->relids, right = inner->parent->relids;
  List *out = NIL;
  ListCell *lc;
  foreach (lc, restrictions) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    if (IS_OUTER_JOIN(type) && RINFO_IS_PUSHED_DOWN(rinfo, join->relids)) continue;
    if (!rinfo->can_join || !OidIsValid(rinfo->hashjoinoperator)) continue;
    bool straight = bms_is_subset(rinfo->left_relids, left) && bms_is_subset(rinfo->right_relids, right);
    if (!straight && !(bms_is_subset(rinfo->left_relids, right) && bms_is_subset(rinfo->right_relids, left))) continue;
    rinfo->outer_is_left = straight;
    out = lappend(out, rinfo);
  }
  return out;
}

/// The join of what this node reads itself.
Path *joined_here(PlannerInfo *root, RelOptInfo *join, Path *outer, Path *inner, JoinType type, const JoinPathExtraData *given) {
  JoinPathExtraData extra = *given;
  if (type == JOIN_INNER && outer->rows < inner->rows) {
    std::swap(outer, inner);
    extra.inner_unique = false;  // it told of the other
  }
  JoinCostWorkspace workspace;
  List *hashed = hash_conditions(join, outer, inner, type, extra.restrictlist);
  if (hashed != NIL) {
    initial_cost_hashjoin(root, &workspace, type, hashed, outer, inner, &extra, false);
    return reinterpret_cast<Path *>(create_hashjoin_path(root, join, type, &workspace, &extra, outer, inner, false, extra.restrictlist, nullptr, hashed));
  }
  if (type == JOIN_FULL) return nullptr;
  inner = reinterpret_cast<Path *>(create_material_path(inner->parent, inner));
  initial_cost_nestloop(root, &workspace, type, outer, inner, &extra);
  return reinterpret_cast<Path *>(create_nestloop_path(root, join, type, &workspace, &extra, outer, inner, extra.restrictlist, NIL, nullptr));
}

/// A column that comes where none is wanted: rows are counted all the same.
PathTarget *some_column(const JoinShape *s) {
  while (s->type != kTable) s = s->left;
  Oid type, collation;
  int32 typmod;
  get_atttypetypmodcoll(s->table, s->client.attnum, &type, &typmod, &collation);
  PathTarget *out = create_empty_pathtarget();
  Var *column = makeVar(static_cast<int>(s->rel->relid), s->client.attnum, type, typmod, collation, 0);
  add_column_to_pathtarget(out, reinterpret_cast<Expr *>(column), 0);
  return out;
}

void add_join_path(PlannerInfo *root, RelOptInfo *join, const JoinShape *s) {
  ScanPlan plan = begun(first_family(s));
  FormOf of;
  List *params = NIL;
  if (!plan_join(root, s, &plan, &of, &params)) return;
  PathTarget *columns = join->reltarget->exprs == NIL ? some_column(s) : join->reltarget;
  ListCell *lc;
  foreach (lc, columns->exprs) plan.outputs = lappend(plan.outputs, column_of_form(lfirst_node(Var, lc), of));
  plan_join_limit(root, of, &plan, &params);
  double rows = clamp_row_est(join->rows * s->share);
  if (plan.limit > 0) rows = Min(rows, plan.limit * kHomesGuessed);
  RelOptInfo *parts = parts_relation(first_family(s), join->reltarget, plan, params, false, columns);
  Path *remote = remote_parts(root, parts, rows);
  // What is sent more than the tables' rows would be costs the time that it takes; next to it what is computed here hardly counts.
  remote->total_cost += Max(rows * (kRowBytes + join->reltarget->width) - s->bytes, 0) * kByte;
  add_path(join, both(root, join, s->local, remote));
}

/// Rows that are locked or changed are not read so, nor does a peer ask others.
bool may_join(PlannerInfo *root) {
  CmdType command = root->parse->commandType;
  return (command == CMD_SELECT || command == CMD_INSERT) && root->rowMarks == NIL && root->append_rel_array &&
         bridge::guc::read_scope != bridge::guc::kReadHome && bridge::self_node() != kNoNode;
}

void consider(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner, JoinType type, JoinPathExtraData *extra) {
  if (join->fdw_private || join->fdwroutine || !may_join(root)) return;
  const JoinShape *left = shape_of(root, outer), *right = left ? shape_of(root, inner) : nullptr;
  JoinShape *s = right ? joined(root, join, left, right, type, extra->restrictlist) : nullptr;
  if (!s) return;
  ScanPlan plan;
  FormOf of;
  List *params = NIL;
  if (!plan_join(root, s, &plan, &of, &params)) return;
  if (s->clients) {
    Path *a = local_of(root, left), *b = local_of(root, right);
    s->local = a && b ? joined_here(root, join, a, b, type, extra) : nullptr;
    if (!s->local) return;
    s->local->rows = clamp_row_est(join->rows * (1 - s->share));
  }
  join->fdw_private = s;
  if (s->clients) add_join_path(root, join, s);
}

void join_paths(PlannerInfo *root, RelOptInfo *join, RelOptInfo *outer, RelOptInfo *inner, JoinType type, JoinPathExtraData *extra) {
  if (previous) previous(root, join, outer, inner, type, extra);
  bridge::entry([&]() -> void { consider(root, join, outer, inner, type, extra); });
}

}  // namespace

void init_joins() {
  previous = set_join_pathlist_hook;
  set_join_pathlist_hook = join_paths;
}

const Family &first_family(const JoinShape *s) {
  while (s->type != kTable) s = s->left;  // tables of clients are on the left, if there are any
  return s->family;
}

bool plan_join(PlannerInfo *root, const JoinShape *join, ScanPlan *plan, FormOf *of, List **params) {
  List *tables = NIL;
  tables_of(join, &tables);
  ListCell *lc;
  foreach (lc, tables) of->members = lappend_int(of->members, static_cast<int>(static_cast<JoinShape *>(lfirst(lc))->rel->relid));
  of->relids = join->rel->relids;
  Node *tree = tree_of(root, join, plan, *of, params);
  plan->join = reinterpret_cast<List *>(tree);
  return tree != nullptr;
}

Path *local_join(PlannerInfo *root, RelOptInfo *rel, const JoinShape *join) {
  return reinterpret_cast<Path *>(create_projection_path(root, rel, join->local, rel->reltarget));
}

double rows_elsewhere_of(const JoinShape *join) { return join->elsewhere; }

}  // namespace vectorshard::read
