// Joins as SQL: see join_text.hpp. A table is a subquery with its conditions, whatever kind of join it is in; what EXISTS stands for
// becomes a filter. Which clients are asked for stands with the tables whose rows are kept for themselves: the others' follow by the client.
#include "pg/read/join_text.hpp"

#include <optional>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/whereabouts.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
}

namespace vectorshard::read {

namespace {

/// Replaces the parameters of a condition by constants. Plain C.
Node *with_values(Node *node, void *context) {
  if (!node) return nullptr;
  if (IsA(node, Param)) {
    List *values = static_cast<List *>(context);
    return static_cast<Node *>(list_nth(values, castNode(Param, node)->paramid - kFirstConditionParam));
  }
  auto mutator = reinterpret_cast<Node *(*)()>(reinterpret_cast<void (*)()>(with_values));
  return expression_tree_mutator(node, mutator, context);
}

std::string alias_of(int leaf) { return "t" + std::to_string(leaf); }

std::string joined_by(const std::vector<std::string> &items, const char *between) {
  std::string out;
  for (const auto &i : items) out += (out.empty() ? "" : between) + i;
  return out;
}

std::string all_of(const std::vector<std::string> &conditions) {
  std::string out;
  for (const auto &c : conditions) out += (out.empty() ? "(" : " AND (") + c + ")";
  return out.empty() ? "true" : out;
}

/// What stands behind FROM, and what holds of it besides.
struct Text {
  std::vector<SelectSpec::Piece> from;
  std::vector<std::string> filters;

  void add(const std::string &text, const std::string &client = "") {
    if (from.empty() || !from.back().client.empty()) from.emplace_back();
    from.back().text += text;
    from.back().client = client;
  }
  void add(const Text &other) {
    for (const auto &piece : other.from) add(piece.text, piece.client);
    filters.insert(filters.end(), other.filters.begin(), other.filters.end());
  }
};

/// A column of a reference table: how its values are read here, and made there.
struct Column {
  std::string name, type;
};

Column column_of(Oid table, AttrNumber number) {
  const char *name, *type_text;
  bool plain = bridge::pg_call([&] {
    Oid type, collation;
    int32 typmod;
    get_atttypetypmodcoll(table, number, &type, &typmod, &collation);
    name = get_attname(table, number, false);
    type_text = format_type_with_typemod(type, typmod);
    return !OidIsValid(collation) || collation == DEFAULT_COLLATION_OID;
  });
  return {quote_name(name), std::string(type_text) + (plain ? "" : " COLLATE \"C\"")};
}

/// An array of texts, as SQL.
std::string texts_literal(const bridge::Rows &rows, size_t column) {
  std::string out = "{";
  for (const auto &row : rows.rows) {
    if (out.size() > 1) out += ',';
    if (!row[column]) {
      out += "NULL";
      continue;
    }
    out += '"';
    for (char c : *row[column]) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    out += '"';
  }
  return quote_value(out + "}") + "::text[]";
}

/// The rows of a reference table as this node sees them.
std::string rows_of(const bridge::EnrolledTable &table, List *numbers, Snapshot snapshot, const std::string &alias) {
  Oid relid = table.relid;
  std::string name = table.name;
  std::vector<std::string> columns, made, sent, given;
  ListCell *lc;
  foreach (lc, numbers) {
    Column c = column_of(relid, static_cast<AttrNumber>(lfirst_int(lc)));
    columns.push_back(c.name);
    given.push_back("c" + std::to_string(given.size() + 1));
    made.push_back("u." + given.back() + "::" + c.type + " AS " + c.name);
  }
  if (columns.empty()) {
    columns.push_back("''");
    given.push_back("c1");
  }
  bridge::Rows rows = read_fabric("SELECT " + joined_by(columns, ", ") + " FROM ONLY " + name, {}, snapshot);
  for (size_t i = 0; i < columns.size(); i++) sent.push_back(texts_literal(rows, i));
  return "(SELECT " + joined_by(made, ", ") + " FROM unnest(" + joined_by(sent, ", ") + ") u (" + joined_by(given, ", ") + ")) " + alias;
}

class JoinText {
 public:
  JoinText(const ScanPlan &plan, const FormText &text, Snapshot snapshot) : plan_(plan), text_(text), snapshot_(snapshot) {}

  /// `asked`: which clients are asked for must be told in it.
  Text of(Node *tree, bool asked) const {
    if (IsA(tree, Integer)) return leaf(intVal(tree), asked);
    List *parts = castNode(List, tree);
    auto type = static_cast<JoinType>(intVal(linitial(parts)));
    Node *left = static_cast<Node *>(lsecond(parts)), *right = static_cast<Node *>(lthird(parts));
    std::vector<std::string> conditions = text_.of(static_cast<List *>(lfourth(parts)));
    std::vector<std::string> filters = text_.of(static_cast<List *>(list_nth(parts, 4)));
    Text a = of(left, asked), b = of(right, asked && type == JOIN_FULL), out;
    if (type == JOIN_SEMI || type == JOIN_ANTI) {
      conditions.insert(conditions.end(), b.filters.begin(), b.filters.end());
      a.filters.push_back(std::string(type == JOIN_ANTI ? "NOT " : "") + "EXISTS (SELECT FROM " + b.from.front().text + " WHERE " + all_of(conditions) + ")");
      out = a;
    } else {
      out.add("(");
      out.add(a);
      out.add(type == JOIN_LEFT ? " LEFT JOIN " : type == JOIN_FULL ? " FULL JOIN " : " JOIN ");
      out.add(b);
      out.add(" ON " + all_of(conditions) + ")");
    }
    out.filters.insert(out.filters.end(), filters.begin(), filters.end());
    return out;
  }

 private:
  Text leaf(int number, bool asked) const {
    List *leaf = static_cast<List *>(list_nth(plan_.leaves, number - 1));
    Oid relid = linitial_oid(static_cast<List *>(linitial(leaf)));
    bool reference = linitial_int(static_cast<List *>(lsecond(leaf)));
    auto client = static_cast<AttrNumber>(lsecond_int(static_cast<List *>(lsecond(leaf))));
    const bridge::EnrolledTable *table = bridge::enrolled_table(relid);
    if (!table || table->reference != reference)
      bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the table of these rows is not enrolled any more", "", "Retry the statement.");
    std::string alias = alias_of(number), source = table->name + " " + alias;
    if (reference && snapshot_) source = rows_of(*table, static_cast<List *>(lthird(leaf)), snapshot_, alias);
    std::vector<std::string> conditions = text_.of(static_cast<List *>(lfourth(leaf)));
    asked = asked && !reference;
    Text out;
    if (!asked && conditions.empty()) {
      out.add(source);
      return out;
    }
    out.add("(SELECT * FROM " + source + " WHERE " + (asked && conditions.empty() ? "" : all_of(conditions)) + (asked && !conditions.empty() ? " AND " : ""));
    if (asked) out.add("", alias + "." + quote_name(bridge::pg_call([&] { return get_attname(relid, client, false); })));
    out.add(") " + alias);
    return out;
  }

  const ScanPlan &plan_;
  const FormText &text_;
  Snapshot snapshot_;
};

}  // namespace

std::vector<std::string> FormText::of(List *forms) const {
  std::vector<std::string> out;
  ListCell *lc;
  foreach (lc, forms) {
    Node *form = static_cast<Node *>(lfirst(lc));
    out.emplace_back(bridge::pg_call([&] {
      if (known_) form = with_values(form, values_);
      return deparse_expression(form, context_, true, false);
    }));
  }
  return out;
}

List *FormText::of_table(Oid table) {
  return bridge::pg_call([&] { return deparse_context_for("t", table); });
}

/// There is a context for one table, and one for the tables of a plan.
List *FormText::of_leaves(List *leaves) {
  return bridge::pg_call([&] {
    PlannedStmt *plan = makeNode(PlannedStmt);
    List *names = NIL;
    ListCell *lc;
    foreach (lc, leaves) {
      char *alias = psprintf("t%d", list_length(names) + 1);
      RangeTblEntry *entry = makeNode(RangeTblEntry);
      entry->rtekind = RTE_RELATION;
      entry->relid = linitial_oid(static_cast<List *>(linitial(static_cast<List *>(lfirst(lc)))));
      entry->relkind = RELKIND_RELATION;
      entry->rellockmode = AccessShareLock;
      entry->alias = entry->eref = makeAlias(alias, NIL);
      plan->rtable = lappend(plan->rtable, entry);
      names = lappend(names, alias);
    }
    return deparse_context_for_plan_tree(plan, names);
  });
}

void put_join(const ScanPlan &plan, const FormText &text, Snapshot snapshot, SelectSpec *spec) {
  Text whole = JoinText(plan, text, snapshot).of(reinterpret_cast<Node *>(plan.join), true);
  spec->from = whole.from;
  spec->conditions.insert(spec->conditions.end(), whole.filters.begin(), whole.filters.end());
}

}  // namespace vectorshard::read
