// What run_on_all_nodes() takes: statements that define objects and whose outcome does not depend on a node's rows, its
// clock or its chance. Parses and looks at defaults only; runs nothing.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/relation.h"
#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"
}

namespace vectorshard::fabric {

namespace {

/// Null if every statement may be run. Inside pg_call.
const char *refusal(const char *sql) {
  List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
  if (statements == NIL) return "There is no statement.";
  ListCell *cell;
  foreach (cell, statements) {
    Node *statement = lfirst_node(RawStmt, cell)->stmt;
    CommandTag tag = CreateCommandTag(statement);
    bool copies_rows = IsA(statement, CreateTableAsStmt) ||
                       (IsA(statement, SelectStmt) && reinterpret_cast<SelectStmt *>(statement)->intoClause);
    if (GetCommandLogLevel(statement) != LOGSTMT_DDL || copies_rows || IsA(statement, DropdbStmt) ||
        IsA(statement, CreatedbStmt) || IsA(statement, AlterSystemStmt))
      return psprintf("%s is among the statements.", GetCommandTagName(tag));
  }
  return nullptr;
}

bool names_type(ObjectType type) { return type == OBJECT_TYPE || type == OBJECT_DOMAIN; }

/// Those of the statements that give a type another name or schema, as text[]. Inside pg_call.
ArrayType *type_statements(const char *sql) {
  List *statements = raw_parser(sql, RAW_PARSE_DEFAULT);
  ArrayBuildState *out = nullptr;
  ListCell *cell;
  foreach (cell, statements) {
    RawStmt *raw = lfirst_node(RawStmt, cell);
    bool renames = IsA(raw->stmt, RenameStmt) && names_type(reinterpret_cast<RenameStmt *>(raw->stmt)->renameType);
    bool moves = IsA(raw->stmt, AlterObjectSchemaStmt) &&
                 names_type(reinterpret_cast<AlterObjectSchemaStmt *>(raw->stmt)->objectType);
    if (!renames && !moves) continue;
    const char *begin = sql + Max(raw->stmt_location, 0);
    int length = raw->stmt_len > 0 ? raw->stmt_len : static_cast<int>(strlen(begin));
    Datum text = PointerGetDatum(cstring_to_text_with_len(begin, length));
    out = accumArrayResult(out, text, false, TEXTOID, CurrentMemoryContext);
  }
  return out ? DatumGetArrayTypeP(makeArrayResult(out, CurrentMemoryContext)) : construct_empty_array(TEXTOID);
}

/// Null if there is none. Inside pg_call.
const char *varying_default(Oid relid, int after) {
  Relation relation = try_relation_open(relid, AccessShareLock);
  if (!relation) return nullptr;
  const char *out = nullptr;
  for (int i = Max(after, 0); i < RelationGetDescr(relation)->natts && !out; i++) {
    Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), i);
    if (column->attisdropped || column->attgenerated) continue;
    Node *value = build_column_default(relation, i + 1);
    if (value && contain_mutable_functions(value)) out = pstrdup(NameStr(column->attname));
  }
  relation_close(relation, AccessShareLock);
  return out;
}

}  // namespace

}  // namespace vectorshard::fabric

using namespace vectorshard;

/// (relation, n) → the first column after the n-th whose default gives other values on other nodes, or null
VECTORSHARD_FUNCTION(vectorshard_varying_default) {
  return bridge::entry([&]() -> Datum {
    Oid relid = PG_GETARG_OID(0);
    int after = PG_GETARG_INT32(1);
    const char *name = bridge::pg_call([&] { return fabric::varying_default(relid, after); });
    if (!name) PG_RETURN_NULL();
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(name)); });
  });
}

VECTORSHARD_FUNCTION(vectorshard_type_statements) {
  return bridge::entry([&]() -> Datum {
    std::string sql = bridge::text_argument(fcinfo, 0);
    return bridge::pg_call([&] { return PointerGetDatum(fabric::type_statements(sql.c_str())); });
  });
}

VECTORSHARD_FUNCTION(vectorshard_ddl_refusal) {
  return bridge::entry([&]() -> Datum {
    std::string sql = bridge::text_argument(fcinfo, 0);
    const char *why = bridge::pg_call([&] { return fabric::refusal(sql.c_str()); });
    if (!why) PG_RETURN_NULL();
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(why)); });
  });
}
