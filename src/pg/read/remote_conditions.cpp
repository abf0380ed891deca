// Remote SELECTs from plans: see remote_conditions.hpp.
#include "pg/read/remote_conditions.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/merging_types.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/join_text.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::read {

namespace {

}  // namespace

List *evaluated(List *expressions, List **states, PlanState *node) {
  List *values = NIL;
  if (*states == NIL) {
    MemoryContext old = MemoryContextSwitchTo(node->state->es_query_cxt);
    *states = ExecInitExprList(expressions, node);
    MemoryContextSwitchTo(old);
  }
  ListCell *lc, *expression;
  forboth(lc, *states, expression, expressions) {
    bool null;
    Datum value = ExecEvalExpr(static_cast<ExprState *>(lfirst(lc)), node->ps_ExprContext, &null);
    Oid type = exprType(static_cast<Node *>(lfirst(expression)));
    int16 length;
    bool by_value;
    get_typlenbyval(type, &length, &by_value);
    Oid collation = exprCollation(static_cast<Node *>(lfirst(expression)));
    values = lappend(values, makeConst(type, -1, collation, length, value, null, by_value));
  }
  return values;
}

namespace {

const char *strength_text(const ScanPlan &plan) {
  if (plan.changes) return "UPDATE OF t";
  switch (static_cast<LockClauseStrength>(plan.lock_strength)) {
    case LCS_FORKEYSHARE: return "KEY SHARE OF t";
    case LCS_FORSHARE: return "SHARE OF t";
    case LCS_FORNOKEYUPDATE: return "NO KEY UPDATE OF t";
    case LCS_FORUPDATE: return "UPDATE OF t";
    default: return "";
  }
}

std::string locking_text(const ScanPlan &plan) {
  std::string out = strength_text(plan);
  if (out.empty() || plan.changes) return out;
  if (plan.wait_policy == LockWaitError) out += " NOWAIT";
  if (plan.wait_policy == LockWaitSkip) out += " SKIP LOCKED";
  return out;
}

std::string column_name(Oid table, AttrNumber column) {
  return bridge::pg_call([&] { return get_attname(table, column, false); });
}

std::vector<std::string> order_of(const ScanPlan &plan, std::vector<std::string> keys) {
  for (size_t i = 0; i < keys.size(); i++) {
    int flags = bridge::pg_call([&] { return list_nth_int(plan.order_flags, static_cast<int>(i)); });
    keys[i] = "(" + keys[i] + ")" + ((flags & kDescending) ? " DESC" : "");
    keys[i] += (flags & kNullsFirst) ? " NULLS FIRST" : " NULLS LAST";
  }
  return keys;
}

}  // namespace

SelectSpec spec_of(const ScanPlan &plan, Oid table, List *expressions, ForeignScanState *node) {
  SelectSpec spec;
  const bridge::EnrolledTable *parent = bridge::enrolled_table(plan.parent);
  if (!parent)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the table of these rows is not enrolled any more", "",
                           "Retry the statement.");
  spec.table = parent->name;
  spec.client_column = column_name(table, plan.client_attnum);
  ListCell *lc;
  foreach (lc, plan.columns) {
    spec.columns.push_back(column_name(table, static_cast<AttrNumber>(lfirst_int(lc))));
    Oid type = bridge::pg_call([&] { return get_atttype(table, static_cast<AttrNumber>(lfirst_int(lc))); });
    // With its entries: what an UPDATE adds to it is added at the home to what stands there then.
    if (bridge::merging_kind(type)) spec.state_columns.push_back(spec.columns.back());
  }
  spec.locking = locking_text(plan);
  spec.distinct = plan.distinct;
  spec.groups = static_cast<size_t>(plan.groups);
  spec.limit = plan.limit;
  if (plan.conditions == NIL && plan.outputs == NIL && plan.order == NIL) return spec;
  List *values = NIL;
  List *states = NIL;
  if (node) values = bridge::pg_call([&] { return evaluated(expressions, &states, &node->ss.ps); });
  StableOutput stable;
  FormText text(plan.leaves == NIL ? FormText::of_table(table) : FormText::of_leaves(plan.leaves), node != nullptr, values);
  spec.conditions = text.of(plan.conditions);
  if (plan.leaves != NIL) put_join(plan, text, node ? node->ss.ps.state->es_snapshot : nullptr, &spec);
  spec.outputs = text.of(plan.outputs);
  spec.order = order_of(plan, text.of(plan.order));
  return spec;
}

bool add_values(List *expressions, ForeignScanState *node, Form *form) {
  if (expressions == NIL) return true;
  List *states = NIL, *values = bridge::pg_call([&] { return evaluated(expressions, &states, &node->ss.ps); });
  StableOutput stable;
  ListCell *lc;
  foreach (lc, values) {
    Const *value = lfirst_node(Const, lc);
    if (OidIsValid(value->constcollid) && value->constcollid != bridge::pg_call([&] { return get_typcollation(value->consttype); })) return false;
    form->types.push_back(value->consttype);
    form->values.push_back(value->constisnull ? std::nullopt : std::optional<std::string>(text_of(value->consttype, value->constvalue)));
  }
  return true;
}

}  // namespace vectorshard::read
