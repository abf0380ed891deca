// Statements and streams of DuckDB: see duckdb_run.hpp.
#include "pg/tier/duckdb_run.hpp"

#include "pg/bridge/guard.hpp"

namespace vectorshard::tier::duck {

namespace {

[[noreturn]] void failed(const char *message) {
  std::string text = message ? message : "unknown error";
  int state = text.find("Out of Memory") != std::string::npos ? ERRCODE_OUT_OF_MEMORY : ERRCODE_EXTERNAL_ROUTINE_EXCEPTION;
  bridge::raise_sqlstate(state, "DuckDB: " + text);
}

/// Frees a prepared statement and its pending result at the end of a scope.
struct Prepared {
  duckdb_prepared_statement statement = nullptr;
  duckdb_pending_result pending = nullptr;
  ~Prepared() {
    if (pending) api().destroy_pending(&pending);
    if (statement) api().destroy_prepare(&statement);
  }
};

/// Runs tasks until the result is ready; false if DuckDB reports an error.
bool run_tasks(duckdb_pending_result pending) {
  while (true) {
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    duckdb_pending_state state = api().pending_execute_task(pending);
    if (state == DUCKDB_PENDING_ERROR) return false;
    if (state != DUCKDB_PENDING_RESULT_NOT_READY && state != DUCKDB_PENDING_NO_TASKS_AVAILABLE) return true;
  }
}

}  // namespace

void execute(Connection &connection, const std::string &sql, void (*on_error)()) {
  Prepared p;
  if (api().prepare(connection.get(), sql.c_str(), &p.statement) != DuckDBSuccess) {
    if (on_error) on_error();
    failed(api().prepare_error(p.statement));
  }
  if (api().pending_prepared(p.statement, &p.pending) != DuckDBSuccess || !run_tasks(p.pending)) {
    if (on_error) on_error();
    failed(api().pending_error(p.pending));
  }
  duckdb_result result;
  duckdb_state state = api().execute_pending(p.pending, &result);
  std::string error = state == DuckDBSuccess ? "" : api().result_error(&result);
  api().destroy_result(&result);
  if (state == DuckDBSuccess) return;
  if (on_error) on_error();
  failed(error.c_str());
}

Stream::Stream(const std::string &sql, const std::vector<std::string> &parameters, bool as_blob) {
  try {
    if (api().prepare(connection_.get(), sql.c_str(), &statement_) != DuckDBSuccess)
      failed(api().prepare_error(statement_));
    for (size_t i = 0; i < parameters.size(); i++) {
      const std::string &p = parameters[i];
      duckdb_state bound = as_blob ? api().bind_blob(statement_, i + 1, p.data(), p.size())
                                   : api().bind_varchar_length(statement_, i + 1, p.data(), p.size());
      if (bound != DuckDBSuccess) failed("could not bind a parameter");
    }
    if (api().pending_prepared_streaming(statement_, &pending_) != DuckDBSuccess || !run_tasks(pending_))
      failed(api().pending_error(pending_));
    has_result_ = true;
    if (api().execute_pending(pending_, &result_) != DuckDBSuccess) failed(api().result_error(&result_));
  } catch (...) {
    close();
    throw;
  }
}

Stream::~Stream() { close(); }

void Stream::close() noexcept {
  if (chunk_) api().destroy_data_chunk(&chunk_);
  if (has_result_) api().destroy_result(&result_);
  if (pending_) api().destroy_pending(&pending_);
  if (statement_) api().destroy_prepare(&statement_);
  chunk_ = nullptr;
  has_result_ = false;
  pending_ = nullptr;
  statement_ = nullptr;
}

duckdb_data_chunk Stream::next() {
  bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
  if (chunk_) api().destroy_data_chunk(&chunk_);
  chunk_ = api().fetch_chunk(result_);
  if (chunk_ && api().data_chunk_get_size(chunk_) == 0) api().destroy_data_chunk(&chunk_);
  if (!chunk_) {
    const char *error = api().result_error(&result_);
    if (error && *error) failed(error);
  }
  return chunk_;
}

Column column_of(duckdb_data_chunk chunk, idx_t index) {
  duckdb_vector v = api().data_chunk_get_vector(chunk, index);
  return {api().vector_get_data(v), api().vector_get_validity(v)};
}

}  // namespace vectorshard::tier::duck
