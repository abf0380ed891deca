// A store in a local (or mounted) directory, URL file:///absolute/path. Objects appear whole or not at all: they are
// written under a temporary name, synced, renamed, and the directory is synced. Never overwrites another content.
#pragma once
#include "core/store/file_ops.hpp"
#include "core/store/types.hpp"

namespace vectorshard::store {

class FileStore : public Store {
 public:
  /// `root` is an absolute path; `temp_tag` makes temporary names of concurrent writers differ.
  FileStore(FileOps &files, std::string root, std::string temp_tag)
      : files_(files), root_(std::move(root)), temp_tag_(std::move(temp_tag)) {}

  Result<void> put(const std::string &key, ByteSource &source, const ObjectContent &content) override;
  Result<void> get(const std::string &key, ByteSink &sink) override;
  Result<std::string> get_range(const std::string &key, int64_t offset, size_t length) override;
  Result<ObjectInfo> head(const std::string &key) override;
  Result<void> remove(const std::string &key) override;
  Result<std::vector<ObjectInfo>> list(const std::string &prefix, const std::string &after) override;
  Result<ObjectState> state(const std::string &key) override;
  Result<void> thaw(const std::string &) override { return {}; }
  Result<void> settle(const std::string &) override { return {}; }
  Result<int> sweep(const std::string &folder, const std::function<bool(const std::string &)> &alive) override;
  std::string local_path(const std::string &key) const override { return path_of(key); }

 private:
  std::string path_of(const std::string &key) const { return root_ + "/" + key; }
  Result<void> make_folders(const std::string &key);
  Result<void> write_temporary(const std::string &path, ByteSource &source, const ObjectContent &content);
  Result<void> sync_folders(const std::string &key);
  Result<void> check_existing(const std::string &key, const ObjectContent &content);

  FileOps &files_;
  std::string root_;
  std::string temp_tag_;
};

/// The path of a file:// URL, or an error with a hint.
Result<std::string> path_of_url(const std::string &url);

}  // namespace vectorshard::store
