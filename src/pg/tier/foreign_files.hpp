// Parquet files of others in a store: which there are, and reading their footers. They may be replaced at any time, so each is read as one version of
// it, which the store tells apart (ETag; of a file in a directory: its inode, size and time), and everything that is kept of it is kept by that version.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "pg/tier/api.hpp"
#include "pg/tier/sparse_copy.hpp"
#include "pg/tier/stores.hpp"

namespace vectorshard::tier {

/// Raises what the error of reading such an object means.
[[noreturn]] void raise_foreign(const std::string &key, Error e);

/// Raises: a column of such an object cannot be read.
[[noreturn]] void raise_foreign_column(const std::string &key, const std::string &column, const std::string &detail, const std::string &hint);

struct ForeignFooter {
  std::vector<ForeignColumn> columns;
  int64_t rows = 0;
  bool named_apart = false;  // the names tell where the columns lie
};

/// One version of a file, open for reading as long as this lives.
class ForeignFile {
 public:
  ForeignFile(const std::string &store, const store::ObjectInfo &object, Patience patience = Patience::usual);
  ~ForeignFile();
  ForeignFile(const ForeignFile &) = delete;
  ForeignFile &operator=(const ForeignFile &) = delete;

  /// The footer. Kept in this process; valid until the next call for another file.
  const ForeignFooter &footer();
  /// Puts the file into the facts of a table.
  void describe(SegmentFacts *facts) const;
  /// Raises if a file in a directory has been written into since it was opened.
  void require_same() const;
  int64_t bytes() const { return bytes_; }
  int64_t fetched() const { return sparse_ ? sparse_->fetched() : 0; }

 private:
  void open_local(const std::string &path);
  const std::string &path() const { return sparse_ ? sparse_->path() : local_; }

  std::string key_, store_, id_, version_;
  int64_t bytes_ = 0;
  std::string local_, identity_;  // of a file in a directory: its name in the spool directory
  std::unique_ptr<SparseCopy> sparse_;
};

/// The files directly in a folder of a store: as foreign_objects(), with patience.
std::vector<store::ObjectInfo> files_in_folder(const std::string &store, const std::string &folder, Patience patience);

}  // namespace vectorshard::tier
