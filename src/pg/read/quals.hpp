// Reading the conditions of a scan: which name clients, which may run on another node. Every condition is rechecked
// here whatever is sent, so sending only saves transfer and must never lose a row.
// Plain C throughout: runs in the planner, may ereport, holds no C++ object with a destructor.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/pathnodes.h"
}

namespace vectorshard::read {

/// How the conditions name clients.
enum class Naming {
  none,  // not at all: every client
  one,   // client = expression
  any,   // client = ANY (array expression)
};

/// The client column of a foreign child, or 0: its name at the parent, its number and type here.
struct ClientColumn {
  AttrNumber attnum = 0;
  Oid type = InvalidOid;
};

/// If `clause` is `client = x` or `client = ANY (x)` with x free of columns of `relid` and not volatile: how, and x.
Naming names_client(PlannerInfo *root, Expr *clause, Index relid, const ClientColumn &client, Expr **value);

/// True if the operator is an equality by which equal clients have equal text.
bool equates_clients(OpExpr *op);
/// The same of `client = ANY (array)`.
bool equates_with_any(ScalarArrayOpExpr *op);
/// True if `node` is the column that tells the client, of relation `relid`.
bool is_client_var(Node *node, Index relid, const ClientColumn &client);

/// True if this kind of client column can be looked up by the text of its values.
bool nameable_type(Oid type);

/// True if grouping by this equality, or sorting by this operator, or this aggregate over values that may be sent, gives the same on
/// every node.
bool equal_alike(Oid equality, Oid collation);
bool sorts_alike(Oid ordering, Oid collation);
bool aggregates_alike(Oid aggregate, Oid collation);

/// The relations whose columns a form has: the k-th of `members` (IntList of relation numbers) is relation k of the form. With `of` the
/// one member is that child, and what forms are made of is in terms of its parent.
struct FormOf {
  Relids relids = nullptr;
  List *members = NIL;
  AppendRelInfo *of = nullptr;
};

/// If `clause` may run on another node: its form for deparsing, where columns are numbered as columns of the relations of the form
/// and every part without columns of them that is not a constant became a parameter, whose expression is appended
/// to `params` (parameter number = first_param + position). Null if it must stay here. Of several relations parameters have no columns at all.
Expr *shippable_form(PlannerInfo *root, Expr *clause, const FormOf &of, int first_param, List **params);
/// The same of one relation.
Expr *shippable_form(PlannerInfo *root, Expr *clause, Index relid, int first_param, List **params);
/// A column, as forms have it.
Var *column_of_form(const Var *column, const FormOf &of);
/// True for what comes with PostgreSQL and is the same on every node.
bool builtin(Oid oid);

}  // namespace vectorshard::read
