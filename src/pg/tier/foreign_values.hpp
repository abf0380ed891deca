// Values that come from Parquet files of others: what PostgreSQL cannot have is an error, never another value.
#pragma once
#include <string>

#include "core/tier/types.hpp"
#include "pg/tier/duckdb_run.hpp"

namespace vectorshard::tier {

/// Raises if a date or time of `n` rows is none of PostgreSQL's, or a text has a zero byte.
void require_fits(const duck::Column &from, idx_t at, size_t n, const ManifestColumn &column);
/// Texts of kind output, which are UTF-8, in the server's encoding, and well-known binary of kind send as PostGIS receives it, in the current memory
/// context. Raises.
void to_server_form(Cell *cells, size_t n, const ManifestColumn &column, const std::string &key);

/// While it lives errors say which column of which object they are about.
class ForeignContext {
 public:
  ForeignContext(const std::string &key, const ManifestColumn &column);
  ~ForeignContext() { error_context_stack = callback_.previous; }
  ForeignContext(const ForeignContext &) = delete;
  ForeignContext &operator=(const ForeignContext &) = delete;

 private:
  static void say(void *of);
  const char *key_, *column_;
  ErrorContextCallback callback_;
};

}  // namespace vectorshard::tier
