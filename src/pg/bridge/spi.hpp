// SQL from C++: a connected SPI session, parameters, results copied into C++ values, subtransactions.
// Every call goes through pg_call. On an error the session is left for the (sub)transaction's end to clean up, as the
// rule for resources during unwinding demands: destructors that run while an exception is in flight do nothing.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "executor/spi.h"
}

namespace vectorshard::bridge {

/// A parameter: type and value. `owned` keeps the bytes of a text or bytea Datum that is made at execution.
struct Param {
  Oid type = InvalidOid;
  Datum value = 0;
  bool null = true;
  std::string owned;
  bool varlena = false;
};
Param p_text(std::string_view s);
Param p_bytea(std::string_view s);
Param p_int4(int32_t v);
Param p_int8(int64_t v);
Param p_float8(double v);
Param p_bool(bool v);
Param p_oid(Oid v);
Param p_timestamptz(int64_t pg_microseconds);
Param p_text_array(const std::vector<std::string> &v);
Param p_null(Oid type);

/// A result: every value in text form (type output). Small results only; large ones use Spi::scan.
struct Rows {
  std::vector<std::vector<std::optional<std::string>>> rows;
  bool empty() const { return rows.empty(); }
  size_t size() const { return rows.size(); }
  /// Text of a column that is not null; "" if it is.
  const std::string &at(size_t row, size_t column) const;
  bool null(size_t row, size_t column) const { return !rows[row][column]; }
  int64_t int8(size_t row, size_t column) const;
  double float8(size_t row, size_t column) const;
  bool boolean(size_t row, size_t column) const;
};

/// A connected SPI session with a pinned search_path (pg_catalog, vectorshard, pg_temp) for its life.
/// Needs an open transaction. Only one at a time per call level; nest by scope.
class Spi {
 public:
  Spi();
  ~Spi();
  Spi(const Spi &) = delete;
  Spi &operator=(const Spi &) = delete;

  /// Runs one statement. Raises what PostgreSQL raises. `read_only` uses the active snapshot; otherwise a fresh one.
  Rows query(const std::string &sql, const std::vector<Param> &params = {}, bool read_only = false);
  /// Runs one statement and gives the number of rows it touched. The plan is kept for the backend's life, keyed by
  /// the SQL text: use it for texts that repeat.
  uint64_t execute(const std::string &sql, const std::vector<Param> &params = {});
  /// As query, with a kept plan.
  Rows query_kept(const std::string &sql, const std::vector<Param> &params = {}, bool read_only = false);

 private:
  int exceptions_ = 0;
  int guc_level_ = 0;
};

/// A subtransaction: release() commits it; otherwise the destructor rolls it back, even while unwinding, so code that
/// stands around it may swallow the PgError.
class Subtransaction {
 public:
  Subtransaction();
  ~Subtransaction();
  void release();

 private:
  MemoryContext context_;
  ResourceOwner owner_;
  bool open_ = true;
};

/// A transaction of a background worker's own: start + snapshot; commit() or, in the destructor, abort.
class WorkerTransaction {
 public:
  WorkerTransaction();
  ~WorkerTransaction();
  void commit();

 private:
  bool open_ = true;
};

}  // namespace vectorshard::bridge
