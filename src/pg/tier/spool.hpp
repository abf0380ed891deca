// The spool directory (vectorshard/pgsql_tmp_spool under the data directory): files being written, and names under which
// segments are read. The only directory that DuckDB may touch. What it holds can always be made again.
#pragma once
#include <string>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::tier {

/// Absolute path, without a slash at the end.
std::string spool_directory();
/// Makes the directory and its parts where they are missing. Raises.
void ensure_spool();
/// A name for a new file of this process: the process id is in it.
std::string spool_file(const std::string &what);
/// The name under which an object is read.
std::string spool_copy(const std::string &sha256);
/// The name of a copy of which parts are there (sparse_copy.hpp), anew with every start of the server; its map is called the same with kMapSuffix.
std::string spool_sparse(const std::string &sha256);
constexpr const char *kMapSuffix = ".map";
/// Nobody takes a copy for usable while somebody else looks which to remove. For a scope, and moments only.
class CopiesLock {
 public:
  enum class For { use, removal };
  explicit CopiesLock(For what);
  ~CopiesLock();
  CopiesLock(const CopiesLock &) = delete;
  CopiesLock &operator=(const CopiesLock &) = delete;

 private:
  int fd_;
};
/// Whether there is such a file; what is asked for is not purged for a minute.
bool copy_is_there(const std::string &path);
/// Removes all copies of an object.
void remove_copies(const std::string &sha256);
/// Removes the copies that were not asked for longest until the rest has at most store_cache_mb.
void bound_copies();
/// Removes the files of processes that are gone, and fetched copies that are an hour old. Called by the tiering worker.
void purge_spool();
/// Removes a file; a missing one is fine. Does not raise.
void remove_file(const std::string &path) noexcept;

/// A string as an SQL literal of DuckDB, an identifier as a quoted one.
std::string sql_literal(const std::string &s);
std::string sql_identifier(const std::string &s);

/// Removes its file at the end of a scope.
class SpoolFile {
 public:
  explicit SpoolFile(std::string path) : path_(std::move(path)) {}
  ~SpoolFile() { remove_file(path_); }
  SpoolFile(const SpoolFile &) = delete;
  SpoolFile &operator=(const SpoolFile &) = delete;
  const std::string &path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace vectorshard::tier
