// DuckDB's C API, loaded lazily with dlopen from vectorshard.duckdb_library: one in-memory instance a process, one
// thread, bounded memory, no extensions, no files outside the spool directory. Never loaded in the postmaster.
#pragma once
#include <string>

#include "pg/bridge/postgres.hpp"

#include "duckdb.h"

namespace vectorshard::tier::duck {

// The one list of functions used.
#define VECTORSHARD_DUCKDB_FUNCTIONS(X)                                                                                \
  X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close) X(free) X(connect) X(disconnect) X(query)      \
  X(destroy_result) X(result_error) X(prepare) X(prepare_error) X(destroy_prepare) X(bind_varchar_length) X(bind_blob) \
  X(pending_prepared) X(pending_prepared_streaming) X(pending_execute_task) X(pending_error) X(destroy_pending)        \
  X(execute_pending) X(fetch_chunk) X(destroy_data_chunk) X(data_chunk_get_size) X(data_chunk_get_column_count) X(data_chunk_set_size)                \
  X(data_chunk_get_vector) X(vector_size) X(vector_get_data) X(vector_get_validity)                                    \
  X(vector_ensure_validity_writable) X(validity_set_row_invalid) X(validity_row_is_valid)                              \
  X(vector_assign_string_element_len) X(create_logical_type) X(create_decimal_type) X(destroy_logical_type) X(create_table_function)          \
  X(destroy_table_function) X(table_function_set_name) X(table_function_set_bind) X(table_function_set_init)           \
  X(table_function_set_function) X(register_table_function) X(bind_add_result_column) X(bind_set_error)                \
  X(init_set_max_threads) X(function_set_error)

struct Api {
#define VECTORSHARD_DUCKDB_POINTER(name) decltype(&::duckdb_##name) name = nullptr;
  VECTORSHARD_DUCKDB_FUNCTIONS(VECTORSHARD_DUCKDB_POINTER)
#undef VECTORSHARD_DUCKDB_POINTER
};

/// The functions; loads the library and opens the instance at the first call. Raises with a hint when it is missing.
const Api &api();

/// A connection to the instance. Results that are streamed need one each.
class Connection {
 public:
  Connection();
  ~Connection();
  Connection(const Connection &) = delete;
  Connection &operator=(const Connection &) = delete;
  duckdb_connection get() const { return connection_; }

 private:
  duckdb_connection connection_ = nullptr;
};

}  // namespace vectorshard::tier::duck
