// Rows of a query, handed over where DuckDB computes them: a result that is streamed has a copy of every value, which costs a third of the reading.
// What takes them runs below DuckDB on the stack: it must not run queries, nor let an ereport through.
#pragma once
#include <exception>
#include <functional>
#include <string>

#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier::duck {

class Flow {
 public:
  /// Called with each chunk, in the order of the rows; it is gone afterwards. What it throws comes out of go_on(). false: no more of this query.
  using Take = std::function<bool(duckdb_data_chunk)>;

  /// `columns`: how many the query has, at least one.
  Flow(const std::string &query, size_t columns, Take take);
  ~Flow();
  Flow(const Flow &) = delete;
  Flow &operator=(const Flow &) = delete;

  /// Goes on until DuckDB lets go, after some ten chunks; false at the end, or once `take` wanted no more.
  bool go_on();
  /// `take` wanted no more.
  bool stopped() const { return stopped_; }

 private:
  friend void take_chunk(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector taken);
  void close() noexcept;

  Take take_;
  std::exception_ptr error_;
  bool stopped_ = false;
  Connection connection_;
  duckdb_prepared_statement statement_ = nullptr;
  duckdb_pending_result pending_ = nullptr;
};

}  // namespace vectorshard::tier::duck
