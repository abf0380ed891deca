// Which conditions name clients and which may run on another node: see quals.hpp. Only built-in, immutable functions
// and operators over built-in types are sent: they give the same answer on every node. Collations that may differ
// between nodes are sent only where they cannot change the answer.
#include "pg/read/quals.hpp"

extern "C" {
#include "access/transam.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/pg_locale.h"
}

namespace vectorshard::read {

namespace {

/// Equality of values of a nameable type with each other: equal values have equal text.
bool is_client_equality(Oid function) {
  switch (function) {
    case F_TEXTEQ: case F_UUID_EQ: case F_INT2EQ: case F_INT4EQ: case F_INT8EQ: case F_INT24EQ: case F_INT42EQ:
    case F_INT28EQ: case F_INT82EQ: case F_INT48EQ: case F_INT84EQ:
      return true;
    default:
      return false;
  }
}

bool deterministic(Oid collation) { return !OidIsValid(collation) || get_collation_isdeterministic(collation); }

bool free_of_relation(PlannerInfo *root, Node *node, Index relid) {
  return !bms_is_member(relid, pull_varnos(root, node)) && !contain_volatile_functions(node) &&
         !contain_subplans(node);
}

struct Shipping {
  PlannerInfo *root;
  const FormOf *of;
  int first_param;
  List **params;
  bool ok;
};

bool collation_safe(Oid collation, Oid function) {
  if (!OidIsValid(collation) || collation == C_COLLATION_OID || collation == POSIX_COLLATION_OID) return true;
  // The collations of another node may sort differently, but they agree on what is equal.
  if (!deterministic(collation)) return false;
  return function == F_TEXTEQ || function == F_TEXTNE || function == F_BPCHAREQ || function == F_BPCHARNE ||
         function == F_TEXTLIKE || function == F_TEXTNLIKE || function == F_STARTS_WITH;
}

bool safe_function(Oid function, Oid collation) {
  return builtin(function) && func_volatile(function) == PROVOLATILE_IMMUTABLE && collation_safe(collation, function);
}

/// A part that has no column of the relations: evaluated here, sent as a parameter.
Node *as_param(Node *node, Shipping *s) {
  Oid type = exprType(node);
  bool other_columns = list_length(s->of->members) > 1 && !bms_is_empty(pull_varnos(s->root, node));
  if (!builtin(type) || other_columns || contain_volatile_functions(node) || contain_subplans(node)) {
    s->ok = false;
    return node;
  }
  *s->params = lappend(*s->params, node);
  Param *p = makeNode(Param);
  p->paramkind = PARAM_EXTERN;
  p->paramid = s->first_param + list_length(*s->params) - 1;
  p->paramtype = type;
  p->paramtypmod = -1;
  p->paramcollid = exprCollation(node);
  p->location = -1;
  return reinterpret_cast<Node *>(p);
}

bool safe_node(Node *node) {
  switch (nodeTag(node)) {
    case T_OpExpr:
    case T_DistinctExpr:
    case T_NullIfExpr: {
      OpExpr *op = reinterpret_cast<OpExpr *>(node);
      set_opfuncid(op);
      return builtin(op->opno) && safe_function(op->opfuncid, op->inputcollid);
    }
    case T_ScalarArrayOpExpr: {
      ScalarArrayOpExpr *op = castNode(ScalarArrayOpExpr, node);
      set_sa_opfuncid(op);
      return builtin(op->opno) && safe_function(op->opfuncid, op->inputcollid);
    }
    case T_FuncExpr: {
      FuncExpr *f = castNode(FuncExpr, node);
      return !f->funcvariadic && safe_function(f->funcid, f->inputcollid);
    }
    case T_BoolExpr:
    case T_NullTest:
    case T_BooleanTest:
    case T_CoalesceExpr:
    case T_RelabelType:
    case T_List:
      return true;
    default:
      return false;
  }
}

Node *ship_mutator(Node *node, void *context) {
  Shipping *s = static_cast<Shipping *>(context);
  if (!node || !s->ok) return node;
  if (!IsA(node, List)) {
    if (!builtin(exprType(node))) {
      s->ok = false;
      return node;
    }
    if (IsA(node, Const)) return static_cast<Node *>(copyObjectImpl(node));
    if (!bms_overlap(s->of->relids, pull_varnos(s->root, node))) return as_param(node, s);
    if (IsA(node, Var)) {
      if (castNode(Var, node)->varattno <= 0 || castNode(Var, node)->varlevelsup != 0) s->ok = false;
      return reinterpret_cast<Node *>(column_of_form(castNode(Var, node), *s->of));
    }
  }
  if (!safe_node(node)) {
    s->ok = false;
    return node;
  }
  // PostgreSQL 15 declares the mutator without a prototype; void (*)() is the cast that compilers accept silently.
  auto mutator = reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(ship_mutator));
  return expression_tree_mutator(node, mutator, context);
}

}  // namespace

bool builtin(Oid oid) { return oid < FirstNormalObjectId; }

bool is_client_var(Node *node, Index relid, const ClientColumn &client) {
  while (IsA(node, RelabelType)) node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
  if (!IsA(node, Var)) return false;
  Var *var = castNode(Var, node);
  return var->varno == static_cast<int>(relid) && var->varattno == client.attnum && var->varlevelsup == 0;
}

Var *column_of_form(const Var *column, const FormOf &of) {
  Var *var = static_cast<Var *>(copyObjectImpl(column));
  int k = 1;
  ListCell *lc;
  foreach (lc, of.members) {
    if (lfirst_int(lc) == column->varno) break;
    k++;
  }
  var->varno = k;
  var->varnosyn = 0;
  var->varattnosyn = 0;
  return var;
}

bool nameable_type(Oid type) {
  switch (getBaseType(type)) {
    case TEXTOID: case VARCHAROID: case UUIDOID: case INT2OID: case INT4OID: case INT8OID:
      return true;
    default:
      return false;
  }
}

bool equates_clients(OpExpr *op) {
  set_opfuncid(op);
  return is_client_equality(op->opfuncid) && deterministic(op->inputcollid);
}

bool equates_with_any(ScalarArrayOpExpr *op) {
  set_sa_opfuncid(op);
  return op->useOr && is_client_equality(op->opfuncid) && deterministic(op->inputcollid);
}

bool equal_alike(Oid equality, Oid collation) { return builtin(equality) && deterministic(collation); }

bool sorts_alike(Oid ordering, Oid collation) {
  return builtin(ordering) && (!OidIsValid(collation) || collation == C_COLLATION_OID || collation == POSIX_COLLATION_OID);
}

bool aggregates_alike(Oid aggregate, Oid collation) {
  if (!builtin(aggregate) || func_volatile(aggregate) != PROVOLATILE_IMMUTABLE) return false;
  return aggregate == F_COUNT_ANY || collation_safe(collation, aggregate);
}

Naming names_client(PlannerInfo *root, Expr *clause, Index relid, const ClientColumn &client,
                    Expr **value) {
  if (!client.attnum || !nameable_type(client.type)) return Naming::none;
  if (IsA(clause, OpExpr)) {
    OpExpr *op = castNode(OpExpr, clause);
    if (list_length(op->args) != 2) return Naming::none;
    if (!equates_clients(op)) return Naming::none;
    Node *left = static_cast<Node *>(linitial(op->args)), *right = static_cast<Node *>(lsecond(op->args));
    if (!is_client_var(left, relid, client)) std::swap(left, right);
    if (!is_client_var(left, relid, client) || !free_of_relation(root, right, relid)) return Naming::none;
    *value = reinterpret_cast<Expr *>(right);
    return Naming::one;
  }
  if (IsA(clause, ScalarArrayOpExpr)) {
    ScalarArrayOpExpr *op = castNode(ScalarArrayOpExpr, clause);
    if (!equates_with_any(op)) return Naming::none;
    Node *right = static_cast<Node *>(lsecond(op->args));
    if (!is_client_var(static_cast<Node *>(linitial(op->args)), relid, client) || !free_of_relation(root, right, relid))
      return Naming::none;
    *value = reinterpret_cast<Expr *>(right);
    return Naming::any;
  }
  return Naming::none;
}

Expr *shippable_form(PlannerInfo *root, Expr *clause, Index relid, int first_param, List **params) {
  FormOf of;
  of.relids = bms_make_singleton(static_cast<int>(relid));
  of.members = list_make1_int(static_cast<int>(relid));
  return shippable_form(root, clause, of, first_param, params);
}

Expr *shippable_form(PlannerInfo *root, Expr *clause, const FormOf &of, int first_param, List **params) {
  Shipping s{root, &of, first_param, params, true};
  List *before = list_copy(*params);
  Node *form = ship_mutator(reinterpret_cast<Node *>(clause), &s);
  if (s.ok) return reinterpret_cast<Expr *>(form);
  *params = before;
  return nullptr;
}

}  // namespace vectorshard::read
