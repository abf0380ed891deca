// Statement texts of a merge: see merge_sql.hpp. Names are quoted, types are those of the local columns, and text is
// compared under the column's own collation.
#include "pg/apply/merge_sql.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/merging_types.hpp"
extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_collation.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace vectorshard::apply {

namespace {

std::string quoted(const std::string &name) { return quote_identifier(name.c_str()); }

struct Attribute {
  bool identity_always = false;
  const char *collation = nullptr;  // qualified; null when it is the default one, or the type has none
};

Attribute attribute(Oid relid, AttrNumber attnum) {
  return bridge::pg_call([&] {
    Attribute out;
    HeapTuple row = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attnum));
    if (!HeapTupleIsValid(row)) elog(ERROR, "column %d of relation %u is gone", attnum, relid);
    auto a = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(row));
    out.identity_always = a->attidentity == ATTRIBUTE_IDENTITY_ALWAYS;
    if (OidIsValid(a->attcollation) && a->attcollation != DEFAULT_COLLATION_OID) {
      HeapTuple c = SearchSysCache1(COLLOID, ObjectIdGetDatum(a->attcollation));
      auto form = reinterpret_cast<Form_pg_collation>(GETSTRUCT(c));
      out.collation =
          quote_qualified_identifier(get_namespace_name(form->collnamespace), pstrdup(NameStr(form->collname)));
      ReleaseSysCache(c);
    }
    ReleaseSysCache(row);
    return out;
  });
}

std::string collate(const Attribute &a) { return a.collation ? std::string(" COLLATE ") + a.collation : ""; }

/// ROWS FROM (batch_rows() AS (columns with types)) WITH ORDINALITY AS r
std::string source_sql(const Group &g) {
  std::string columns;
  for (const auto &c : g.table.columns) {
    if (!columns.empty()) columns += ", ";
    columns += quoted(c.name) + " " + c.type_text() + collate(attribute(g.table.relid, c.attnum));
  }
  return "ROWS FROM (vectorshard.batch_rows() AS (" + columns + ")) WITH ORDINALITY AS r";
}

bool merges(const bridge::EnrolledTable &table) {
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [](const bridge::EnrolledColumn &c) { return bridge::merging_kind(c.type).has_value(); });
}

/// The row (alias.a, alias.b, …) of the columns that a newer row replaces; empty if there are none.
std::string replaced_columns(const Group &g, const std::string &alias) {
  std::string out;
  for (size_t i = 0; i < g.table.columns.size(); i++) {
    const auto &c = g.table.columns[i];
    bool in_key = std::find(g.key.begin(), g.key.end(), i) != g.key.end();
    if (in_key || c.attnum == g.table.version_attnum || bridge::merging_kind(c.type)) continue;
    out += (out.empty() ? "" : ", ") + alias + "." + quoted(c.name);
  }
  return out;
}

/// What a row of the batch does to a row that is here: the columns to set, and when.
struct Conflict {
  std::string newer, set, changes;
};

void add_column(Conflict &c, const bridge::EnrolledTable &table, const bridge::EnrolledColumn &column, bool by_type) {
  std::string name = quoted(column.name), value = "excluded." + name;
  if (bridge::merging_kind(column.type)) {
    value = "vectorshard.crdt_merge(t." + name + ", excluded." + name + ")";
    c.changes += " OR NOT vectorshard.crdt_contains(t." + name + ", excluded." + name + ")";
  } else if (by_type && column.attnum == table.version_attnum) {
    value = "greatest(t." + name + ", excluded." + name + ")";
  } else if (by_type) {
    value = "CASE WHEN " + c.newer + " THEN excluded." + name + " ELSE t." + name + " END";
  }
  c.set += (c.set.empty() ? "" : ", ") + name + " = " + value;
}

}  // namespace

std::string upsert_sql(const Group &g) {
  std::string names, values, key;
  Conflict conflict;
  conflict.newer = g.clients() ? "(t.epoch, t._version) < (excluded.epoch, excluded._version)" : "t._version < excluded._version";
  bool by_type = merges(g.table);
  for (size_t i = 0; i < g.table.columns.size(); i++) {
    const auto &c = g.table.columns[i];
    std::string name = quoted(c.name);
    names += (names.empty() ? "" : ", ") + name;
    values += (values.empty() ? "r." : ", r.") + name;
    if (std::find(g.key.begin(), g.key.end(), i) != g.key.end()) {
      key += (key.empty() ? "" : ", ") + name;
    } else if (!attribute(g.table.relid, c.attnum).identity_always) {
      add_column(conflict, g.table, c, by_type);
    }
  }
  return "INSERT INTO " + g.table.name + " AS t (" + names + ") OVERRIDING SYSTEM VALUE SELECT " + values + " FROM " +
         source_sql(g) + " ON CONFLICT (" + key + ") DO UPDATE SET " + conflict.set + " WHERE " + conflict.newer +
         conflict.changes;
}

std::string versions_sql(const Group &g) {
  std::string on;
  for (size_t k : g.key) {
    std::string name = quoted(g.table.columns[k].name);
    on += (on.empty() ? "" : " AND ") + ("t." + name + " = r." + name);
  }
  return "SELECT r.ordinality - 1, t._version FROM " + source_sql(g) + " JOIN ONLY " + g.table.name + " AS t ON " + on;
}

std::string differing_sql(const Group &g) {
  if (!merges(g.table)) return versions_sql(g);
  std::string here = replaced_columns(g, "t"), sent = replaced_columns(g, "r");
  if (here.empty()) return {};
  return versions_sql(g) + " WHERE ROW(" + here + ")::record *<> ROW(" + sent + ")::record";
}

namespace {

/// Key columns compared with the elements of $1.
std::string key_condition(const bridge::EnrolledTable &table) {
  std::string where;
  for (size_t i = 0; i < table.key.size(); i++)
    for (const auto &c : table.columns)
      if (c.attnum == table.key[i])
        where += quoted(c.name) + " = (($1)[" + std::to_string(i + 1) + "])::" + c.type_text() +
                 collate(attribute(table.relid, c.attnum)) + " AND ";
  return where;
}

}  // namespace

std::string remove_sql(const bridge::EnrolledTable &table) {
  return "DELETE FROM ONLY " + table.name + " WHERE " + key_condition(table) + "_version < $2";
}

std::string raise_sql(const bridge::EnrolledTable &table) {
  return "UPDATE ONLY " + table.name + " SET _version = _version + 1 WHERE " + key_condition(table) + "_version = $2";
}

std::string end_sql(const bridge::EnrolledTable &table) {
  std::string set, born_before;
  for (const auto &c : table.columns) {
    if (!bridge::merging_kind(c.type)) continue;
    std::string name = quoted(c.name);
    set += (set.empty() ? "" : ", ") + name + " = vectorshard.crdt_ended(" + name + ", $2)";
    born_before += (born_before.empty() ? "" : " OR ") + ("vectorshard.crdt_birth(" + name + ") < $2");
  }
  if (set.empty()) return {};
  return "UPDATE ONLY " + table.name + " SET " + set + " WHERE " + key_condition(table) + "(" + born_before + ")";
}

}  // namespace vectorshard::apply
