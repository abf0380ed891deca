// Halves of aggregates: see partial.hpp.
#include "pg/read/partial.hpp"

#include "pg/read/private.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/appendinfo.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/planner.h"
#include "optimizer/tlist.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace vectorshard::read {

namespace {

/// Whether two aggregates make the same state: transition function, its type, its beginning.
bool same_state(HeapTuple a, HeapTuple b) {
  auto *x = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(a)), *y = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(b));
  if (x->aggtransfn != y->aggtransfn || x->aggtranstype != y->aggtranstype) return false;
  bool no_x, no_y;
  Datum init_x = SysCacheGetAttr(AGGFNOID, a, Anum_pg_aggregate_agginitval, &no_x);
  Datum init_y = SysCacheGetAttr(AGGFNOID, b, Anum_pg_aggregate_agginitval, &no_y);
  if (no_x || no_y) return no_x == no_y;
  return strcmp(TextDatumGetCString(init_x), TextDatumGetCString(init_y)) == 0;
}

/// The aggregate of ours (70_read.sql) that has the transitions of `whole` and ends in its state. A serialized state is only for
/// servers of one major version, which its name tells: another has no such function.
Oid state_aggregate(HeapTuple whole, List *argument_types) {
  auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(whole));
  Oid types[FUNC_MAX_ARGS];
  int n = 0;
  ListCell *lc;
  foreach (lc, argument_types) types[n++] = lfirst_oid(lc);
  const char *name = psprintf("state%d_%s", PG_VERSION_NUM / 10000, get_func_name(form->aggtransfn));
  List *names = list_make2(makeString(pstrdup("vectorshard")), makeString(pstrdup(name)));
  Oid found = LookupFuncName(names, n, types, true);
  if (!OidIsValid(found)) return InvalidOid;
  HeapTuple ours = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(found));
  if (!HeapTupleIsValid(ours)) return InvalidOid;
  auto *our_form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(ours));
  Oid ending = form->aggtranstype == INTERNALOID ? static_cast<Oid>(form->aggserialfn) : InvalidOid;
  bool fits = same_state(whole, ours) && our_form->aggfinalfn == ending;
  ReleaseSysCache(ours);
  return fits ? found : InvalidOid;
}

/// The aggregate whose result is the state of this one; none if its states cannot be joined or sent.
Oid state_of(Aggref *aggregate) {
  HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate->aggfnoid));
  if (!HeapTupleIsValid(tuple)) return InvalidOid;
  auto *form = reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple));
  bool internal = form->aggtranstype == INTERNALOID;
  Oid found = InvalidOid;
  if (OidIsValid(form->aggcombinefn) && (!internal || (OidIsValid(form->aggserialfn) && OidIsValid(form->aggdeserialfn)))) {
    found = aggregate->aggfnoid;
    if (internal || OidIsValid(form->aggfinalfn)) found = state_aggregate(tuple, aggregate->aggargtypes);
  }
  ReleaseSysCache(tuple);
  return found;
}

Expr *remote_aggregate(PlannerInfo *root, Aggref *aggregate, const FormOf &of, List **params) {
  if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggdistinct || aggregate->aggorder || aggregate->aggvariadic) return nullptr;
  if (!aggregates_alike(aggregate->aggfnoid, aggregate->inputcollid)) return nullptr;
  Oid function = state_of(aggregate);
  if (!OidIsValid(function)) return nullptr;
  Aggref *out = makeNode(Aggref);
  *out = *aggregate;
  out->aggfnoid = function;
  out->aggsplit = AGGSPLIT_SIMPLE;
  out->args = NIL;
  ListCell *lc;
  foreach (lc, aggregate->args) {
    TargetEntry *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(lc)));
    entry->expr = shippable_form(root, entry->expr, of, kFirstConditionParam, params);
    if (!entry->expr) return nullptr;
    out->args = lappend(out->args, entry);
  }
  if (!aggregate->aggfilter) return reinterpret_cast<Expr *>(out);
  out->aggfilter = shippable_form(root, aggregate->aggfilter, of, kFirstConditionParam, params);
  return out->aggfilter ? reinterpret_cast<Expr *>(out) : nullptr;
}

struct Search {
  PathTarget *target;  // what is grouped by, and the aggregates found, or their arguments
  bool other;          // something that is neither
  bool arguments = false;
};

/// True if values that are equal here are equal on every node.
bool value_alike(Node *value) {
  TypeCacheEntry *type = lookup_type_cache(exprType(value), TYPECACHE_EQ_OPR);
  return OidIsValid(type->eq_opr) && equal_alike(type->eq_opr, exprCollation(value));
}

bool is_min_or_max(Oid aggregate) {
  HeapTuple tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggregate));
  if (!HeapTupleIsValid(tuple)) return false;
  bool sorts = OidIsValid(reinterpret_cast<Form_pg_aggregate>(GETSTRUCT(tuple))->aggsortop);
  ReleaseSysCache(tuple);
  return sorts;
}

/// The arguments of an aggregate that takes equal rows for one.
bool collect_arguments(Aggref *aggregate, PathTarget *target) {
  if (aggregate->aggkind != AGGKIND_NORMAL || aggregate->aggvariadic) return false;
  if (!aggregate->aggdistinct && (aggregate->aggorder || !is_min_or_max(aggregate->aggfnoid))) return false;
  ListCell *lc;
  foreach (lc, aggregate->args) {
    TargetEntry *entry = lfirst_node(TargetEntry, lc);
    Node *value = reinterpret_cast<Node *>(entry->expr);
    SortGroupClause *clause = entry->ressortgroupref ? get_sortgroupref_clause_noerr(entry->ressortgroupref, aggregate->aggdistinct) : nullptr;
    if (!value_alike(value) || (clause && clause->eqop != lookup_type_cache(exprType(value), TYPECACHE_EQ_OPR)->eq_opr)) return false;
    add_new_column_to_pathtarget(target, entry->expr);
  }
  if (aggregate->aggfilter) add_new_column_to_pathtarget(target, aggregate->aggfilter);
  return true;
}

bool collect(Node *node, void *context) {
  Search *s = static_cast<Search *>(context);
  if (!node || list_member(s->target->exprs, node)) return false;
  if (IsA(node, Aggref) && s->arguments) return s->other = s->other || !collect_arguments(castNode(Aggref, node), s->target);
  if (IsA(node, Aggref)) {
    add_column_to_pathtarget(s->target, reinterpret_cast<Expr *>(node), 0);
    return false;
  }
  if (IsA(node, Var) || IsA(node, PlaceHolderVar)) return s->other = true;
  // PostgreSQL 15 declares the walker without a prototype; void (*)() is the cast that compilers accept silently.
  auto walker = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(collect));
  return expression_tree_walker(node, walker, context);
}

/// What `grouped` is grouped by; the rest of it, and `having`, in `others`. Null if groups may differ between nodes.
PathTarget *group_columns(PlannerInfo *root, PathTarget *grouped, Node *having, List **others, int *groups) {
  Query *parse = root->parse;
  PathTarget *out = create_empty_pathtarget();
  ListCell *lc;
  int i = 0;
  *groups = 0;
  foreach (lc, grouped->exprs) {
    Expr *expression = static_cast<Expr *>(lfirst(lc));
    Index reference = get_pathtarget_sortgroupref(grouped, i++);
    SortGroupClause *clause = reference ? get_sortgroupref_clause_noerr(reference, parse->groupClause) : nullptr;
    if (!clause) {
      *others = lappend(*others, expression);
      continue;
    }
    if (!equal_alike(clause->eqop, exprCollation(reinterpret_cast<Node *>(expression)))) return nullptr;
    add_column_to_pathtarget(out, expression, reference);
    ++*groups;
  }
  if (having) *others = lappend(*others, having);
  return out;
}

}  // namespace

PathTarget *once_target(PlannerInfo *root, PathTarget *grouped, Node *having) {
  List *others = NIL;
  int groups;
  PathTarget *out = group_columns(root, grouped, having, &others, &groups);
  if (!out) return nullptr;
  Search search = {out, false, true};
  collect(reinterpret_cast<Node *>(others), &search);
  return search.other || out->exprs == NIL ? nullptr : set_pathtarget_cost_width(root, out);
}

PathTarget *partial_target(PlannerInfo *root, PathTarget *grouped, Node *having, int *groups) {
  List *others = NIL;
  ListCell *lc;
  PathTarget *out = group_columns(root, grouped, having, &others, groups);
  if (!out) return nullptr;
  Search search = {out, false};
  collect(reinterpret_cast<Node *>(others), &search);
  if (search.other || out->exprs == NIL) return nullptr;
  for_each_from(lc, out->exprs, *groups) {
    Aggref *half = makeNode(Aggref);
    *half = *castNode(Aggref, lfirst(lc));
    mark_partial_aggref(half, AGGSPLIT_INITIAL_SERIAL);
    lfirst(lc) = half;
  }
  return set_pathtarget_cost_width(root, out);
}

List *remote_outputs(PlannerInfo *root, PathTarget *target, const FormOf &of, List **params) {
  List *out = NIL;
  ListCell *lc;
  foreach (lc, target->exprs) {
    Node *expression = static_cast<Node *>(lfirst(lc));
    AppendRelInfo *child = of.of;
    if (child) expression = adjust_appendrel_attrs(root, expression, 1, &child);
    Expr *form = IsA(expression, Aggref) ? remote_aggregate(root, castNode(Aggref, expression), of, params)
                                         : shippable_form(root, reinterpret_cast<Expr *>(expression), of, kFirstConditionParam, params);
    if (!form) return NIL;
    out = lappend(out, form);
  }
  return out;
}

}  // namespace vectorshard::read
