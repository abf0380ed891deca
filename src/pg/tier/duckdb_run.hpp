// Running DuckDB statements inside a backend: task by task with CHECK_FOR_INTERRUPTS in between, so cancel and
// terminate work, and results as chunks. No PostgreSQL error ever jumps over a DuckDB frame.
#pragma once
#include <string>
#include <vector>

#include "pg/tier/duckdb_api.hpp"

namespace vectorshard::tier::duck {

/// Runs a statement that gives no rows (COPY … TO). `on_error` runs before DuckDB's own error is raised: a table
/// function that caught a PostgreSQL error rethrows it there.
void execute(Connection &connection, const std::string &sql, void (*on_error)() = nullptr);

/// A query whose result is streamed: one chunk in memory at a time.
class Stream {
 public:
  /// `parameters` are bound as strings, or as blobs.
  Stream(const std::string &sql, const std::vector<std::string> &parameters, bool as_blob);
  ~Stream();
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;
  /// The next chunk, valid until the next call, or null at the end.
  duckdb_data_chunk next();

 private:
  void close() noexcept;
  Connection connection_;
  duckdb_prepared_statement statement_ = nullptr;
  duckdb_pending_result pending_ = nullptr;
  duckdb_result result_{};
  bool has_result_ = false;
  duckdb_data_chunk chunk_ = nullptr;
};

/// A column of a chunk.
struct Column {
  void *data = nullptr;
  uint64_t *validity = nullptr;  // null: all valid
  bool valid(idx_t row) const { return !validity || ((validity[row / 64] >> (row % 64)) & 1); }
};
Column column_of(duckdb_data_chunk chunk, idx_t index);

constexpr uint32_t kInlinedBytes = 12;  // of a string that DuckDB keeps in place
/// The bytes of a string or blob: of one kept in place those of `s` itself, of a longer one those of its chunk.
inline std::string_view bytes_of(const duckdb_string_t &s) {
  const uint32_t length = s.value.inlined.length;
  return {length <= kInlinedBytes ? s.value.inlined.inlined : s.value.pointer.ptr, length};
}
/// Inside the chunk.
inline std::string_view string_at(const Column &column, idx_t row) { return bytes_of(static_cast<const duckdb_string_t *>(column.data)[row]); }

}  // namespace vectorshard::tier::duck
