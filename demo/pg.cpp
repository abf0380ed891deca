// Blocking libpq calls; the servers' statement_timeout and the signal thread bound how long they can last.
#include "pg.hpp"

namespace vectorshard::demo {
namespace {

std::vector<const char *> pointers(const std::vector<Param> &params) {
  std::vector<const char *> out;
  for (const Param &p : params) out.push_back(p ? p->c_str() : nullptr);
  return out;
}

std::string describe(const PGresult *result) {
  std::string text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
  for (const auto &[field, label] : {std::pair{PG_DIAG_MESSAGE_DETAIL, "; detail: "},
                                     std::pair{PG_DIAG_MESSAGE_HINT, "; hint: "},
                                     std::pair{PG_DIAG_CONTEXT, "; context: "}})
    if (const char *more = PQresultErrorField(result, field)) text += std::string(label) + more;
  return text;
}

}  // namespace

Connection::Connection(std::string conninfo) : conninfo_(std::move(conninfo)) { ensure(); }

void Connection::ensure() {
  if (conn_ && PQstatus(conn_.get()) == CONNECTION_OK) return;
  prepared_.clear();
  conn_.reset(PQconnectdb(conninfo_.c_str()));
  if (PQstatus(conn_.get()) != CONNECTION_OK) throw PgError(PQerrorMessage(conn_.get()), "08006");
  PQsetNoticeProcessor(conn_.get(), [](void *, const char *) {}, nullptr);
}

Rows Connection::checked(PGresult *result) {
  Rows rows(result);
  const auto status = PQresultStatus(result);
  if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK) return rows;
  const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (!state) throw PgError(PQerrorMessage(conn_.get()), "08006");
  throw PgError(describe(result), state);
}

Rows Connection::run(const std::string &sql) {
  ensure();
  return checked(PQexec(conn_.get(), sql.c_str()));
}

Rows Connection::query(const std::string &sql, const std::vector<Param> &params) {
  ensure();
  return checked(PQexecParams(conn_.get(), sql.c_str(), static_cast<int>(params.size()), nullptr,
                              pointers(params).data(), nullptr, nullptr, 0));
}

Rows Connection::execute(const Statement &statement, const std::vector<Param> &params) {
  ensure();
  if (!prepared_.contains(statement.name)) {
    checked(PQprepare(conn_.get(), statement.name, statement.sql, 0, nullptr));
    prepared_.insert(statement.name);
  }
  return checked(PQexecPrepared(conn_.get(), statement.name, static_cast<int>(params.size()), pointers(params).data(),
                                nullptr, nullptr, 0));
}

std::string quote_literal(const std::string &text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

}  // namespace vectorshard::demo
