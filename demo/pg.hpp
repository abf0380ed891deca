// A connection to a server: statements with text parameters, prepared on first use. Errors are thrown with their
// SQLSTATE. One thread at a time; never holds a transaction open between calls.
#pragma once
#include <libpq-fe.h>

#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vectorshard::demo {

/// What a server answered, or that it did not answer (sqlstate then is 08006).
struct PgError : std::runtime_error {
  PgError(const std::string &text, std::string state) : std::runtime_error(text), sqlstate(std::move(state)) {}
  std::string sqlstate;
  /// True for errors after which an application simply tries again.
  bool retryable() const { return sqlstate == "40001" || sqlstate == "40P01" || sqlstate == "55P03"; }
  /// True if the outcome of the statement is unknown.
  bool connection_lost() const { return sqlstate.starts_with("08") || sqlstate.starts_with("57P"); }
};

class Rows {
 public:
  explicit Rows(PGresult *result) : result_(result, PQclear) {}
  int count() const { return PQntuples(result_.get()); }
  bool null(int row, int column) const { return PQgetisnull(result_.get(), row, column); }
  std::string_view text(int row, int column) const {
    return {PQgetvalue(result_.get(), row, column), static_cast<size_t>(PQgetlength(result_.get(), row, column))};
  }
  std::string str(int row, int column) const { return std::string(text(row, column)); }
  int64_t number(int row, int column) const { return std::stoll(str(row, column)); }
  bool flag(int row, int column) const { return text(row, column) == "t"; }
  /// Rows an INSERT, UPDATE or DELETE touched.
  int64_t touched() const { return std::atoll(PQcmdTuples(result_.get())); }

 private:
  std::shared_ptr<PGresult> result_;
};

using Param = std::optional<std::string>;

/// An SQL statement with a name, which is prepared once a connection.
struct Statement {
  const char *name;
  const char *sql;
};

class Connection {
 public:
  explicit Connection(std::string conninfo);

  /// Any SQL, several statements too; the last result.
  Rows run(const std::string &sql);
  Rows query(const std::string &sql, const std::vector<Param> &params);
  Rows execute(const Statement &statement, const std::vector<Param> &params);

 private:
  void ensure();
  Rows checked(PGresult *result);

  std::string conninfo_;
  std::unique_ptr<PGconn, void (*)(PGconn *)> conn_{nullptr, PQfinish};
  std::set<std::string> prepared_;
};

std::string quote_literal(const std::string &text);

}  // namespace vectorshard::demo
