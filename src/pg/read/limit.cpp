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

/// False: rows that the scan gives may be dropped, or looked at otherwise, before they are counted.
bool counts_rows(PlannerInfo *root, RelOptInfo *rel, List *clauses, const ScanPlan &plan) {
  if (root->limit_tuples < 1 || root->limit_tuples > kMostRows || root->parse->limitOption == LIMIT_OPTION_WITH_TIES) return false;
  if (plan.naming != Naming::none || plan.changes || root->rowMarks != NIL || bms_membership(root->all_baserels) != BMS_SINGLETON)
    return false;
  AppendRelInfo *of = root->append_rel_array ? root->append_rel_array[rel->relid] : nullptr;
  if (!of || !bms_is_member(static_cast<int>(of->parent_relid), root->all_baserels)) return false;
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

}  // namespace

void plan_limit(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan, List **params) {
  if (!counts_rows(root, rel, clauses, *plan)) return;
  AppendRelInfo *of = root->append_rel_array[rel->relid];
  List *order = NIL, *order_flags = NIL, *before = list_copy(*params);
  ListCell *lc;
  foreach (lc, root->parse->sortClause) {
    SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
    Node *expression = get_sortgroupclause_expr(clause, root->processed_tlist);
    expression = adjust_appendrel_attrs(root, expression, 1, &of);
    if (!contain_var_clause(expression) && !contain_volatile_functions(expression)) continue;  // the same for all rows
    int flags = flags_of(clause, expression);
    Expr *form = flags < 0 ? nullptr
                           : shippable_form(root, reinterpret_cast<Expr *>(expression), rel->relid, kFirstConditionParam, params);
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

}  // namespace vectorshard::read
