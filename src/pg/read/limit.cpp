// LIMIT at other nodes: see limit.hpp.
#include "pg/read/limit.hpp"

extern "C" {
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/optimizer.h"
#include "optimizer/tlist.h"
#include "utils/typcache.h"
}

namespace vectorshard::read {

namespace {

// More than this is nearly all, and sorting it there saves nothing.
constexpr double kMostRows = 100000;

bool has_limit(PlannerInfo *root) {
  return root->limit_tuples >= 1 && root->limit_tuples <= kMostRows && root->parse->limitOption != LIMIT_OPTION_WITH_TIES;
}

/// False: rows that the scan gives may be dropped, or looked at otherwise, before they are counted.
bool counts_rows(PlannerInfo *root, RelOptInfo *rel, List *clauses, const ScanPlan &plan) {
  if (!has_limit(root)) return false;
  if (plan.naming != Naming::none || plan.changes || root->rowMarks != NIL || bms_membership(root->all_baserels) != BMS_SINGLETON)
    return false;
  AppendRelInfo *of = root->append_rel_array ? root->append_rel_array[rel->relid] : nullptr;
  if (!of && plan.role == Role::elsewhere) return false;
  if (!bms_is_member(static_cast<int>(of ? of->parent_relid : rel->relid), root->all_baserels)) return false;
  return list_length(plan.conditions) == list_length(clauses);
}

/// The flags of a sort, or -1: ASC and DESC mean another order for this type.
int flags_of(SortGroupClause *clause, Node *expression) {
  if (!sorts_alike(clause->sortop, exprCollation(expression))) return -1;
  TypeCacheEntry *type = lookup_type_cache(exprType(expression), TYPECACHE_LT_OPR | TYPECACHE_GT_OPR);
  int flags = clause->nulls_first ? kNullsFirst : 0;
  if (clause->sortop == type->lt_opr) return flags;
  return clause->sortop == type->gt_opr ? flags | kDescending : -1;
}

void add_limit(PlannerInfo *root, const FormOf &of, ScanPlan *plan, List **params) {
  AppendRelInfo *child = of.of;
  List *order = NIL, *order_flags = NIL, *before = list_copy(*params);
  ListCell *lc;
  foreach (lc, root->parse->sortClause) {
    SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
    Node *expression = get_sortgroupclause_expr(clause, root->processed_tlist);
    if (child) expression = adjust_appendrel_attrs(root, expression, 1, &child);
    if (!contain_var_clause(expression) && !contain_volatile_functions(expression)) continue;  // the same for all rows
    int flags = flags_of(clause, expression);
    Expr *form = flags < 0 ? nullptr
                           : shippable_form(root, reinterpret_cast<Expr *>(expression), of, kFirstConditionParam, params);
    if (!form) {
      *params = before;
      return;
    }
    order = lappend(order, form);
    order_flags = lappend_int(order_flags, flags);
  }
  plan->order = order;
  plan->order_flags = order_flags;
  plan->limit = static_cast<int>(root->limit_tuples);
  plan->exact = true;
}

}  // namespace

void plan_limit(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan, List **params) {
  if (!counts_rows(root, rel, clauses, *plan)) return;
  FormOf of;
  of.relids = rel->relids;
  of.members = list_make1_int(static_cast<int>(rel->relid));
  of.of = root->append_rel_array ? root->append_rel_array[rel->relid] : nullptr;
  add_limit(root, of, plan, params);
}

void plan_join_limit(PlannerInfo *root, const FormOf &of, ScanPlan *plan, List **params) {
  if (has_limit(root) && bms_equal(of.relids, root->all_baserels)) add_limit(root, of, plan, params);
}

}  // namespace vectorshard::read
