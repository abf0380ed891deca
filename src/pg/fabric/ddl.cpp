// What run_on_all_nodes() takes: statements that define objects and whose outcome does not depend on a node's rows. Parses
// only; runs nothing.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "parser/parser.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
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

}  // namespace

}  // namespace vectorshard::fabric

using namespace vectorshard;

VECTORSHARD_FUNCTION(vectorshard_ddl_refusal) {
  return bridge::entry([&]() -> Datum {
    std::string sql = bridge::text_argument(fcinfo, 0);
    const char *why = bridge::pg_call([&] { return fabric::refusal(sql.c_str()); });
    if (!why) PG_RETURN_NULL();
    return bridge::pg_call([&] { return PointerGetDatum(cstring_to_text(why)); });
  });
}
