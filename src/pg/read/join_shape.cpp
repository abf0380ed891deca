// Which joins homes can make: see joins.hpp. Plain C inside: the planner's errors pass through as they are.
#include "pg/read/join_shape.hpp"

#include "pg/bridge/merging_types.hpp"
#include "pg/bridge/tables.hpp"
extern "C" {
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace vectorshard::read {

namespace {

const char kMark = 0;

// Reference tables of more are not sent along.
constexpr double kMostReferenceRows = 10000;
constexpr BlockNumber kMostReferencePages = 512;

/// Conditions of a table that decide over the whole query, or name clients, are not for all homes.
bool plain_conditions(PlannerInfo *root, RelOptInfo *rel, const ClientColumn &client) {
  ListCell *lc;
  foreach (lc, rel->baserestrictinfo) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    Expr *value;
    if (rinfo->pseudoconstant || !(rinfo->leakproof || rinfo->security_level <= rel->baserestrict_min_security)) return false;
    if (names_client(root, rinfo->clause, rel->relid, client, &value) != Naming::none) return false;
  }
  return true;
}

/// The columns of a reference table that the query uses.
Bitmapset *used_columns(RelOptInfo *rel) {
  Bitmapset *used = nullptr;
  pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
  ListCell *lc;
  foreach (lc, rel->baserestrictinfo) pull_varattnos(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, lc)->clause), rel->relid, &used);
  return used;
}

/// Whether values of the column are the same on another node when they come there as text.
bool travels(Oid table, AttrNumber column) {
  if (column <= 0) return false;
  Oid type, collation;
  int32 typmod;
  get_atttypetypmodcoll(table, column, &type, &typmod, &collation);
  if (OidIsValid(get_element_type(type))) type = get_element_type(type);
  char category;
  bool preferred;
  get_type_category_preferred(type, &category, &preferred);
  bool names_objects = category == TYPCATEGORY_NUMERIC && type != INT2OID && type != INT4OID && type != INT8OID && type != NUMERICOID &&
                       type != FLOAT4OID && type != FLOAT8OID && type != CASHOID;
  return builtin(type) && !names_objects &&
         (!OidIsValid(collation) || collation == DEFAULT_COLLATION_OID || collation == C_COLLATION_OID || collation == POSIX_COLLATION_OID);
}

bool small_reference(PlannerInfo *root, RelOptInfo *rel, const RangeTblEntry *entry) {
  const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid);
  if (!table || !table->reference || table->fabric || entry->inh || entry->relkind != RELKIND_RELATION || entry->tablesample) return false;
  if (rel->tuples > kMostReferenceRows || rel->pages > kMostReferencePages) return false;
  if (IS_DUMMY_REL(rel) || !rel->cheapest_total_path || rel->cheapest_total_path->param_info) return false;
  Bitmapset *used = used_columns(rel);
  for (int i = -1; (i = bms_next_member(used, i)) >= 0;)
    if (!travels(entry->relid, static_cast<AttrNumber>(i + FirstLowInvalidHeapAttributeNumber))) return false;
  return true;
}

JoinShape *made(int type, RelOptInfo *rel) {
  JoinShape *s = static_cast<JoinShape *>(palloc0(sizeof(JoinShape)));
  s->mark = &kMark;
  s->type = type;
  s->rel = rel;
  return s;
}

const JoinShape *table_shape(PlannerInfo *root, RelOptInfo *rel) {
  if (rel->reloptkind != RELOPT_BASEREL || rel->rtekind != RTE_RELATION || !bms_is_empty(rel->lateral_relids)) return nullptr;
  const RangeTblEntry *entry = planner_rt_fetch(rel->relid, root);
  JoinShape *s = made(kTable, rel);
  s->table = entry->relid;
  s->visible = rel->relids;
  s->security = rel->baserestrict_min_security;
  if (family_of(root, rel, &s->family)) {
    const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid);
    s->client.attnum = table->client_attnum;
    s->home = table->home;
    s->client.type = get_atttype(entry->relid, s->client.attnum);
    if (!nameable_type(s->client.type) || made_by_this_transaction(s->family.known->table)) return nullptr;
    s->clients = true;
    s->elsewhere = s->family.elsewhere->rows;
    s->bytes = s->elsewhere * (kRowBytes + s->family.elsewhere->reltarget->width);
    s->share = s->elsewhere / Max(s->elsewhere + s->family.heap->rows, 1);
  } else if (!small_reference(root, rel, entry)) {
    return nullptr;
  }
  return plain_conditions(root, rel, s->client) ? s : nullptr;
}

/// Whether `node` is the client of a table in `s`.
bool is_client_of(Node *node, const JoinShape *s) {
  if (s->type != kTable) return is_client_of(node, s->left) || is_client_of(node, s->right);
  return s->clients && is_client_var(node, s->rel->relid, s->client);
}

bool joins_by_client(Node *condition, const JoinShape *left, const JoinShape *right) {
  if (!IsA(condition, OpExpr) || list_length(castNode(OpExpr, condition)->args) != 2 || !equates_clients(castNode(OpExpr, condition))) return false;
  Node *a = static_cast<Node *>(linitial(castNode(OpExpr, condition)->args)), *b = static_cast<Node *>(lsecond(castNode(OpExpr, condition)->args));
  return (is_client_of(a, left) && is_client_of(b, right)) || (is_client_of(b, left) && is_client_of(a, right));
}

/// Sorts the conditions of the join into its own and those of its rows.
bool take_conditions(PlannerInfo *root, JoinShape *s, List *restrictions) {
  Relids both = bms_union(s->left->visible, s->right->visible);
  ListCell *lc;
  foreach (lc, restrictions) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    if (rinfo->pseudoconstant || !(rinfo->leakproof || rinfo->security_level <= s->security)) return false;
    bool filter = IS_OUTER_JOIN(static_cast<JoinType>(s->type)) && RINFO_IS_PUSHED_DOWN(rinfo, s->rel->relids);
    Node *clause = reinterpret_cast<Node *>(rinfo->clause);
    if (!bms_is_subset(pull_varnos(root, clause), filter ? s->visible : both)) return false;
    (filter ? s->filters : s->conditions) = lappend(filter ? s->filters : s->conditions, clause);
  }
  return true;
}

bool kept_in_place(const JoinShape *s) {
  switch (s->type) {
    case JOIN_LEFT: return !s->right->pending;
    case JOIN_FULL: return !s->left->pending && !s->right->pending;
    default: return true;
  }
}

/// A row of a reference table that is kept for itself would come from every home; tables of clients must be joined by the client, and be
/// read at the same nodes.
bool same_by_home(const JoinShape *s) {
  if (!s->left->clients) return !s->right->clients;
  if (!s->right->clients) return s->type != JOIN_FULL;
  if (s->left->home != s->right->home) return false;
  ListCell *lc;
  foreach (lc, s->conditions)
    if (joins_by_client(static_cast<Node *>(lfirst(lc)), s->left, s->right)) return true;
  return false;
}

/// The table in `s` with that number.
const JoinShape *table_of(const JoinShape *s, int relid) {
  if (s->type == kTable) return s;
  return bms_is_member(relid, s->left->rel->relids) ? table_of(s->left, relid) : table_of(s->right, relid);
}

/// The columns of a join go as they are, in text.
bool plain_columns(const JoinShape *s) {
  ListCell *lc;
  foreach (lc, s->rel->reltarget->exprs) {
    if (!IsA(lfirst(lc), Var)) return false;
    const Var *column = lfirst_node(Var, lc);
    if (column->varattno <= 0 || column->varlevelsup != 0 || !bms_is_member(column->varno, s->visible)) return false;
    if (!builtin(column->vartype) && (!table_of(s, column->varno)->clients || bridge::merging_kind(column->vartype))) return false;
  }
  return true;
}

}  // namespace

const JoinShape *join_of(RelOptInfo *rel) {
  if (rel->reloptkind != RELOPT_JOINREL || rel->fdwroutine || !rel->fdw_private) return nullptr;
  auto *s = static_cast<const JoinShape *>(rel->fdw_private);
  return s->mark == &kMark && s->clients ? s : nullptr;
}

const JoinShape *shape_of(PlannerInfo *root, RelOptInfo *rel) {
  if (rel->reloptkind != RELOPT_JOINREL) return table_shape(root, rel);
  if (rel->fdwroutine || !rel->fdw_private) return nullptr;
  auto *s = static_cast<const JoinShape *>(rel->fdw_private);
  return s->mark == &kMark ? s : nullptr;
}

JoinShape *joined(PlannerInfo *root, RelOptInfo *join, const JoinShape *left, const JoinShape *right, JoinType type, List *restrictions) {
  if (type != JOIN_INNER && type != JOIN_LEFT && type != JOIN_FULL && type != JOIN_SEMI && type != JOIN_ANTI) return nullptr;
  if (join->reloptkind != RELOPT_JOINREL || !bms_is_empty(join->lateral_relids)) return nullptr;
  JoinShape *s = made(type, join);
  bool turned = type == JOIN_INNER && !left->clients;
  s->left = turned ? right : left;
  s->right = turned ? left : right;
  bool exists = type == JOIN_SEMI || type == JOIN_ANTI;
  s->visible = exists ? s->left->visible : bms_union(left->visible, right->visible);
  s->clients = left->clients || right->clients;
  s->home = s->left->home;
  s->security = Min(left->security, right->security);
  if (!take_conditions(root, s, restrictions) || !kept_in_place(s) || !same_by_home(s) || !plain_columns(s)) return nullptr;
  s->pending = exists || s->filters != NIL || s->left->pending || (type == JOIN_INNER && s->right->pending);
  s->elsewhere = left->elsewhere + right->elsewhere;
  s->bytes = left->bytes + right->bytes;
  s->share = Max(left->share, right->share);
  return s;
}

}  // namespace vectorshard::read
