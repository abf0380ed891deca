// Loading DuckDB and opening the instance: see duckdb_api.hpp.
#include "pg/tier/duckdb_api.hpp"

#include <dlfcn.h>

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/spool.hpp"

namespace vectorshard::tier::duck {

namespace {

constexpr const char *kHint =
    "Install libduckdb.so (scripts/bootstrap does) and set vectorshard.duckdb_library to its path.";

Api functions;
duckdb_database instance = nullptr;

[[noreturn]] void unavailable(const std::string &message, const std::string &detail) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, message, detail, kHint);
}

/// The library is never closed again: it has unique symbols, so dlclose would not unload it.
void load_library() {
  static void *handle = nullptr;
  if (functions.function_set_error) return;
  const char *path = bridge::guc::duckdb_library;
  if (!path || !*path)
    unavailable("segments need DuckDB, which is not configured", "vectorshard.duckdb_library is empty.");
  if (!handle) handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *why = dlerror();
    unavailable("could not load DuckDB", why ? why : path);
  }
  Api loaded;
#define VECTORSHARD_DUCKDB_LOAD(name)                                                                    \
  loaded.name = reinterpret_cast<decltype(loaded.name)>(dlsym(handle, "duckdb_" #name));                  \
  if (!loaded.name) unavailable("this DuckDB library is too old", "It has no function duckdb_" #name ".");
  VECTORSHARD_DUCKDB_FUNCTIONS(VECTORSHARD_DUCKDB_LOAD)
#undef VECTORSHARD_DUCKDB_LOAD
  functions = loaded;
}

std::string set_up(duckdb_database db) {
  duckdb_connection connection;
  if (functions.connect(db, &connection) != DuckDBSuccess) return "could not connect";
  std::string error;
  const std::string statements[] = {
      "SET allowed_directories = [" + sql_literal(spool_directory()) + "]",
      "SET GLOBAL enable_geoparquet_conversion = false",  // of every connection: geometries are their bytes
      "SET enable_external_access = false",
      "SET lock_configuration = true",
  };
  for (const std::string &statement : statements) {
    duckdb_result result;
    if (functions.query(connection, statement.c_str(), &result) != DuckDBSuccess && error.empty())
      error = functions.result_error(&result);
    functions.destroy_result(&result);
  }
  functions.disconnect(&connection);
  return error;
}

void open_instance() {
  ensure_spool();
  duckdb_config config;
  functions.create_config(&config);
  const std::string memory = std::to_string(bridge::guc::duckdb_memory_mb) + "MiB";
  const char *settings[][2] = {{"threads", "1"},
                               {"memory_limit", memory.c_str()},
                               {"autoinstall_known_extensions", "false"},
                               {"autoload_known_extensions", "false"},
                               {"temp_directory", ""},
                               {"enable_external_file_cache", "false"},
                               {"preserve_insertion_order", "true"}};
  for (auto &s : settings) functions.set_config(config, s[0], s[1]);
  duckdb_database db = nullptr;
  char *error = nullptr;
  duckdb_state opened = functions.open_ext(nullptr, &db, config, &error);
  functions.destroy_config(&config);
  std::string why = error ? error : "";
  if (error) functions.free(error);
  if (opened != DuckDBSuccess) unavailable("could not open DuckDB", why);
  why = set_up(db);
  if (!why.empty()) {
    functions.close(&db);
    unavailable("could not configure DuckDB", why);
  }
  instance = db;
}

}  // namespace

const Api &api() {
  if (!IsUnderPostmaster && IsPostmasterEnvironment)
    bridge::raise_sqlstate(ERRCODE_INTERNAL_ERROR, "DuckDB must not be used in the postmaster");
  load_library();
  if (!instance) open_instance();
  return functions;
}

Connection::Connection() {
  if (api().connect(instance, &connection_) != DuckDBSuccess) unavailable("could not connect to DuckDB", "");
}

Connection::~Connection() { functions.disconnect(&connection_); }

}  // namespace vectorshard::tier::duck
