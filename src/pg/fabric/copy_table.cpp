// COPY from a link into a table: see copy_table.hpp. The data source is called from inside CopyFrom, where ereport may
// jump at any time: it is plain C over static state, and holds no C++ object.
#include "pg/fabric/copy_table.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/table.h"
#include "access/xact.h"
#include "commands/copy.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/rel.h"
}

namespace vectorshard::fabric {

namespace {

// The one COPY of this backend that is under way.
struct Source {
  PGconn *conn;
  char *chunk;  // from PQgetCopyData
  int size, used;
} source;

void wait_for_input(PGconn *conn) {
  int rc = WaitLatchOrSocket(MyLatch, WL_LATCH_SET | WL_SOCKET_READABLE | WL_EXIT_ON_PM_DEATH, PQsocket(conn), 0,
                             PG_WAIT_EXTENSION);
  if (rc & WL_LATCH_SET) {
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  }
  if (!PQconsumeInput(conn))
    ereport(ERROR, (errcode(ERRCODE_CONNECTION_FAILURE), errmsg("connection to node is lost"),
                    errdetail_internal("%s", PQerrorMessage(conn)), errhint("Check the node and the network.")));
}

/// The next chunk of the COPY; false at its end.
bool next_chunk() {
  if (source.chunk) PQfreemem(source.chunk);
  source.chunk = nullptr;
  for (;;) {
    source.size = PQgetCopyData(source.conn, &source.chunk, 1);
    source.used = 0;
    if (source.size > 0) return true;
    if (source.size < 0) return false;
    wait_for_input(source.conn);
  }
}

int read_source(void *out, int, int max) {
  int got = 0;
  while (got < max) {
    if (source.used >= source.size && (source.size < 0 || !next_chunk())) break;
    int n = Min(source.size - source.used, max - got);
    memcpy(static_cast<char *>(out) + got, source.chunk + source.used, n);
    source.used += n;
    got += n;
  }
  return got;
}

void insert_all(Oid relid, const char *const *columns, int n) {
  Relation rel = table_open(relid, RowExclusiveLock);
  ParseState *pstate = make_parsestate(nullptr);
  (void)addRangeTableEntryForRelation(pstate, rel, RowExclusiveLock, nullptr, false, false);
  List *names = NIL;
  for (int i = 0; i < n; i++) names = lappend(names, makeString(pstrdup(columns[i])));
  List *options = list_make1(
      makeDefElem(pstrdup("encoding"), reinterpret_cast<Node *>(makeString(pstrdup(GetDatabaseEncodingName()))), -1));
  CopyFromState state = BeginCopyFrom(pstate, rel, nullptr, nullptr, false, read_source, names, options);
  (void)CopyFrom(state);
  EndCopyFrom(state);
  table_close(rel, NoLock);
  CommandCounterIncrement();
}

bridge::PgResult next_result(PGconn *conn) {
  while (PQisBusy(conn)) bridge::pg_call([&] { wait_for_input(conn); });
  return bridge::PgResult(PQgetResult(conn));
}

[[noreturn]] void raise_result(const PGresult *result) {
  auto field = [&](int code) {
    const char *s = PQresultErrorField(result, code);
    return std::string(s ? s : "");
  };
  std::string state = field(PG_DIAG_SQLSTATE);
  bridge::raise_sqlstate(state.size() == 5 ? MAKE_SQLSTATE(state[0], state[1], state[2], state[3], state[4])
                                           : ERRCODE_CONNECTION_FAILURE,
                         "node could not give its rows", field(PG_DIAG_MESSAGE_PRIMARY), field(PG_DIAG_MESSAGE_HINT));
}

}  // namespace

void copy_from_link(bridge::Link &link, const std::string &query, Oid relid, const std::vector<std::string> &columns) {
  PGconn *conn = link.conn();
  std::string sql = "COPY (" + query + ") TO STDOUT";
  if (!conn || !PQsendQuery(conn, sql.c_str()))
    bridge::raise({Errc::unreachable, "connection to node is lost", "", "Check the node and the network."});
  while (PQflush(conn) > 0) bridge::pg_call([&] { wait_for_input(conn); });
  auto begun = next_result(conn);
  if (PQresultStatus(begun.get()) != PGRES_COPY_OUT) raise_result(begun.get());
  source = {conn, nullptr, 0, 0};
  std::vector<const char *> names;
  for (const std::string &c : columns) names.push_back(c.c_str());
  bridge::pg_call([&] { insert_all(relid, names.data(), static_cast<int>(names.size())); });
  while (auto rest = next_result(conn))
    if (PQresultStatus(rest.get()) == PGRES_FATAL_ERROR) raise_result(rest.get());
}

void raise_remote(const bridge::Link &link, const Error &error) {
  const std::string &s = link.sqlstate();
  if (s.size() != 5) bridge::raise(error);
  bridge::raise_sqlstate(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]), error.message, error.detail, error.hint);
}

}  // namespace vectorshard::fabric
