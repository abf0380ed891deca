// Named clients in the tree that comes from the rewriter: see named_tables.hpp. A condition names the client of a table if rows of
// other clients cannot reach the result: in WHERE any; of an inner join any, for its own tables; of an outer join for the side that
// is filled up with nulls alone. Client columns that must be equal are named together.
#include "pg/read/named_tables.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/quals.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::read {

namespace {

constexpr int kMostTables = 8;

struct Table {
  int index = 0;  // in the range table
  ClientColumn client;
  Node *value = nullptr;
};

struct Search {
  Query *query;
  Table tables[kMostTables];
  int count = 0;
  bool grown = false;
};

/// The column behind the names that joins give it; null if it is none.
Var *column(Query *query, Node *node) {
  for (;;) {
    while (node && IsA(node, RelabelType)) node = reinterpret_cast<Node *>(castNode(RelabelType, node)->arg);
    if (!node || !IsA(node, Var)) return nullptr;
    Var *var = castNode(Var, node);
    if (var->varlevelsup != 0 || var->varattno <= 0) return nullptr;
    RangeTblEntry *entry = rt_fetch(var->varno, query->rtable);
    if (entry->rtekind != RTE_JOIN) return var;
    node = static_cast<Node *>(list_nth(entry->joinaliasvars, var->varattno - 1));
  }
}

Table *client_of(Search *s, Node *node) {
  Var *var = column(s->query, node);
  for (int i = 0; var && i < s->count; i++)
    if (s->tables[i].index == var->varno && s->tables[i].client.attnum == var->varattno) return &s->tables[i];
  return nullptr;
}

/// Something that is no parameter of the statement, and of which only the executor knows the value.
bool needs_executor(Node *node, void *) {
  if (!node) return false;
  if (IsA(node, Param)) return castNode(Param, node)->paramkind != PARAM_EXTERN;
  if (IsA(node, SubLink) || IsA(node, SubPlan) || IsA(node, Aggref) || IsA(node, WindowFunc) || IsA(node, GroupingFunc)) return true;
  auto walker = reinterpret_cast<bool (*)()>(reinterpret_cast<void (*)()>(needs_executor));
  return expression_tree_walker(node, walker, nullptr);
}

/// Constants and parameters of the statement that name one client or (`list`) many; null if it is more than those.
Node *value_of(Node *node, bool list) {
  if (contain_var_clause(node) || needs_executor(node, nullptr)) return nullptr;
  Node *folded = eval_const_expressions(nullptr, static_cast<Node *>(copyObjectImpl(node)));
  while (IsA(folded, RelabelType)) folded = reinterpret_cast<Node *>(castNode(RelabelType, folded)->arg);
  if (IsA(folded, Const) ? castNode(Const, folded)->constisnull : contain_mutable_functions(folded)) return nullptr;
  Oid type = getBaseType(exprType(folded));
  return nameable_type(list ? get_base_element_type(type) : type) ? folded : nullptr;
}

void name(Search *s, Table *table, Node *value, Relids reach) {
  if (!table || table->value || (reach && !bms_is_member(table->index, reach))) return;
  table->value = value;
  s->grown = true;
}

void take_equality(Search *s, OpExpr *op, Relids reach) {
  if (list_length(op->args) != 2 || !equates_clients(op)) return;
  Node *left = static_cast<Node *>(linitial(op->args)), *right = static_cast<Node *>(lsecond(op->args));
  Table *a = client_of(s, left), *b = client_of(s, right);
  if (a && b) {
    if (a->value) name(s, b, a->value, reach);
    if (b->value) name(s, a, b->value, reach);
  } else if (a && !a->value) {
    if (Node *value = value_of(right, false)) name(s, a, value, reach);
  } else if (b && !b->value) {
    if (Node *value = value_of(left, false)) name(s, b, value, reach);
  }
}

void take_list(Search *s, ScalarArrayOpExpr *op, Relids reach) {
  Table *table = equates_with_any(op) ? client_of(s, static_cast<Node *>(linitial(op->args))) : nullptr;
  if (!table || table->value) return;
  if (Node *value = value_of(static_cast<Node *>(lsecond(op->args)), true)) name(s, table, value, reach);
}

void take_conditions(Search *s, Node *node, Relids reach) {
  if (!node) return;
  ListCell *lc;
  if (IsA(node, List)) {
    foreach (lc, castNode(List, node)) take_conditions(s, static_cast<Node *>(lfirst(lc)), reach);
  } else if (IsA(node, BoolExpr) && castNode(BoolExpr, node)->boolop == AND_EXPR) {
    take_conditions(s, reinterpret_cast<Node *>(castNode(BoolExpr, node)->args), reach);
  } else if (IsA(node, OpExpr)) {
    take_equality(s, castNode(OpExpr, node), reach);
  } else if (IsA(node, ScalarArrayOpExpr)) {
    take_list(s, castNode(ScalarArrayOpExpr, node), reach);
  }
}

Relids tables_below(Node *node) {
  ListCell *lc;
  Relids out = nullptr;
  if (IsA(node, RangeTblRef)) return bms_make_singleton(castNode(RangeTblRef, node)->rtindex);
  if (IsA(node, JoinExpr)) return bms_union(tables_below(castNode(JoinExpr, node)->larg), tables_below(castNode(JoinExpr, node)->rarg));
  foreach (lc, castNode(FromExpr, node)->fromlist) out = bms_union(out, tables_below(static_cast<Node *>(lfirst(lc))));
  return out;
}

void walk(Search *s, Node *node) {
  ListCell *lc;
  if (!node || IsA(node, RangeTblRef)) return;
  if (IsA(node, FromExpr)) {
    foreach (lc, castNode(FromExpr, node)->fromlist) walk(s, static_cast<Node *>(lfirst(lc)));
    return take_conditions(s, castNode(FromExpr, node)->quals, tables_below(node));
  }
  JoinExpr *join = castNode(JoinExpr, node);
  walk(s, join->larg);
  walk(s, join->rarg);
  if (join->jointype == JOIN_INNER) take_conditions(s, join->quals, tables_below(node));
  if (join->jointype == JOIN_LEFT) take_conditions(s, join->quals, tables_below(join->rarg));
  if (join->jointype == JOIN_RIGHT) take_conditions(s, join->quals, tables_below(join->larg));
}

/// False: something in the range table may read a vector-shard table in a way that is not looked at here.
bool collect(Search *s) {
  ListCell *lc;
  int index = 0;
  foreach (lc, s->query->rtable) {
    RangeTblEntry *entry = lfirst_node(RangeTblEntry, lc);
    index++;
    if (entry->rtekind == RTE_JOIN || entry->rtekind == RTE_VALUES || entry->rtekind == RTE_FUNCTION || entry->rtekind == RTE_RESULT) continue;
    if (entry->rtekind != RTE_RELATION || entry->tablesample) return false;
    // Most tables have no children, and cost nothing here; the extension's own, which the list of tables is read from, are among them.
    if (!entry->inh || entry->relkind != RELKIND_RELATION || !bridge::pg_call([&] { return has_subclass(entry->relid); })) continue;
    const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid);
    if (!table || !OidIsValid(table->elsewhere)) continue;
    if (!table->only_child || !table->client_attnum || s->count == kMostTables) return false;
    Table &t = s->tables[s->count++];
    t.index = index;
    t.client.attnum = table->client_attnum;
    for (const bridge::EnrolledColumn &c : table->columns)
      if (c.attnum == table->client_attnum) t.client.type = c.type;
    if (!nameable_type(t.client.type)) return false;
  }
  return s->count > 0;
}

}  // namespace

List *clients_of(Query *query, List **tables) {
  Search s;
  s.query = query;
  if (!query->jointree || !collect(&s)) return NIL;
  return bridge::pg_call([&]() -> List * {
    do {
      s.grown = false;
      walk(&s, reinterpret_cast<Node *>(query->jointree));
    } while (s.grown);
    List *clients = NIL;
    for (int i = 0; i < s.count; i++) {
      if (!s.tables[i].value) return NIL;
      *tables = lappend(*tables, rt_fetch(s.tables[i].index, query->rtable));
      clients = list_append_unique(clients, s.tables[i].value);
    }
    return clients;
  });
}

}  // namespace vectorshard::read
