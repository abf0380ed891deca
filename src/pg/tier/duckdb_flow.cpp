// Rows that are handed over: see duckdb_flow.hpp. DuckDB calls a function of ours with all columns of a chunk, and aggregates what it says.
#include "pg/tier/duckdb_flow.hpp"

#include "pg/bridge/guard.hpp"

namespace vectorshard::tier::duck {

namespace {

constexpr char kFunction[] = "vectorshard_take";

/// Whose task is going on in this process; flows that read for one another are stacked.
Flow *active = nullptr;

struct ActiveScope {
  Flow *before = active;
  explicit ActiveScope(Flow *flow) { active = flow; }
  ~ActiveScope() { active = before; }
  ActiveScope(const ActiveScope &) = delete;
  ActiveScope &operator=(const ActiveScope &) = delete;
};

std::string statement_text(const std::string &query, size_t columns) {
  std::string names;
  for (size_t i = 0; i < columns; i++) names.append(i ? ", c" : "c").append(std::to_string(i));
  return std::string("SELECT bool_and(").append(kFunction).append("(").append(names).append(")) FROM (").append(query).append(") AS q(").append(names).append(")");
}

}  // namespace

void take_chunk(duckdb_function_info info, duckdb_data_chunk chunk, duckdb_vector taken) {
  const idx_t rows = api().data_chunk_get_size(chunk);
  memset(api().vector_get_data(taken), true, rows);
  Flow *flow = active;
  try {
    if (flow && !flow->stopped_ && (rows == 0 || flow->take_(chunk))) return;
    if (flow) flow->stopped_ = true;
  } catch (...) {
    flow->error_ = std::current_exception();
  }
  api().scalar_function_set_error(info, "no more rows are wanted");
}

namespace {

void register_function(Connection &connection) {
  static bool registered = false;
  if (registered) return;
  duckdb_scalar_function f = api().create_scalar_function();
  duckdb_logical_type any = api().create_logical_type(DUCKDB_TYPE_ANY), boolean = api().create_logical_type(DUCKDB_TYPE_BOOLEAN);
  api().scalar_function_set_name(f, kFunction);
  api().scalar_function_set_varargs(f, any);
  api().scalar_function_set_return_type(f, boolean);
  api().scalar_function_set_volatile(f);          // never computed ahead, nor left out
  api().scalar_function_set_special_handling(f);  // of rows with nulls, too
  api().scalar_function_set_function(f, take_chunk);
  duckdb_state state = api().register_scalar_function(connection.get(), f);
  api().destroy_scalar_function(&f);
  api().destroy_logical_type(&any);
  api().destroy_logical_type(&boolean);
  if (state != DuckDBSuccess) bridge::raise_sqlstate(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION, "could not register a function with DuckDB");
  registered = true;
}

}  // namespace

Flow::Flow(const std::string &query, size_t columns, Take take) : take_(std::move(take)) {
  register_function(connection_);
  const std::string text = statement_text(query, columns);
  try {
    if (api().prepare(connection_.get(), text.c_str(), &statement_) != DuckDBSuccess) failed(api().prepare_error(statement_));
    if (api().pending_prepared(statement_, &pending_) != DuckDBSuccess) failed(api().pending_error(pending_));
  } catch (...) {
    close();
    throw;
  }
}

Flow::~Flow() { close(); }

void Flow::close() noexcept {
  if (pending_) api().destroy_pending(&pending_);
  if (statement_) api().destroy_prepare(&statement_);
}

bool Flow::go_on() {
  bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
  ActiveScope scope(this);
  duckdb_pending_state state = api().pending_execute_task(pending_);
  if (error_) std::rethrow_exception(error_);
  if (stopped_) return false;
  if (state == DUCKDB_PENDING_ERROR) failed(api().pending_error(pending_));
  return state == DUCKDB_PENDING_RESULT_NOT_READY || state == DUCKDB_PENDING_NO_TASKS_AVAILABLE;
}

}  // namespace vectorshard::tier::duck
