// File operations in memory with faults, for the tests of FileStore: a full disk, short writes, errors at the n-th
// call, and a crash that loses what was not synced.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "core/store/file_ops.hpp"

namespace vectorshard::store {

class MemoryFiles : public FileOps {
 public:
  size_t space = SIZE_MAX;      // bytes left on the disk
  size_t short_write = SIZE_MAX;  // most bytes one write takes
  int fail_call = -1;           // this call (counting from 0) fails with Errc::io
  int calls = 0;
  std::map<std::string, std::string> files;
  std::set<std::string> synced;    // file contents on disk
  std::set<std::string> durable;   // names on disk
  std::set<std::string> folders{"/root"};

  Result<int> create(const std::string &path) override {
    if (auto r = step(); !r.ok()) return r.error();
    if (files.count(path)) return Error{Errc::conflict, "exists", "", ""};
    if (!folders.count(parent(path))) return missing(path);
    files[path] = "";
    open_[++last_] = path;
    return last_;
  }
  Result<int> open_read(const std::string &path) override {
    if (auto r = step(); !r.ok()) return r.error();
    if (!files.count(path)) return missing(path);
    open_[++last_] = path;
    return last_;
  }
  Result<size_t> write(int handle, std::string_view bytes) override {
    if (auto r = step(); !r.ok()) return r.error();
    size_t n = std::min({bytes.size(), short_write, space});
    if (n == 0) return Error{Errc::no_space, "no space left on device", "", ""};
    space -= n;
    files[open_[handle]].append(bytes.substr(0, n));
    return n;
  }
  Result<size_t> read_at(int handle, int64_t offset, char *out, size_t max) override {
    if (auto r = step(); !r.ok()) return r.error();
    const std::string &f = files[open_[handle]];
    if (static_cast<size_t>(offset) >= f.size()) return size_t{0};
    return f.copy(out, max, static_cast<size_t>(offset));
  }
  Result<void> sync(int handle) override {
    if (auto r = step(); !r.ok()) return r;
    synced.insert(open_[handle]);
    return {};
  }
  void close(int handle) override { open_.erase(handle); }
  Result<FileInfo> stat(const std::string &path) override {
    auto it = files.find(path);
    if (folders.count(path)) return FileInfo{path, 0, 0, true};
    if (it == files.end()) return missing(path);
    return FileInfo{path, static_cast<int64_t>(it->second.size()), 0, false};
  }
  Result<void> rename(const std::string &from, const std::string &to) override {
    if (auto r = step(); !r.ok()) return r;
    if (!files.count(from)) return missing(from);
    files[to] = files[from];
    files.erase(from);
    if (synced.erase(from)) synced.insert(to);
    return {};
  }
  Result<void> remove(const std::string &path) override {
    files.erase(path);
    durable.erase(path);
    return {};
  }
  Result<void> make_directory(const std::string &path) override {
    if (auto r = step(); !r.ok()) return r;
    folders.insert(path);
    return {};
  }
  Result<void> sync_directory(const std::string &path) override {
    if (auto r = step(); !r.ok()) return r;
    for (auto &[name, bytes] : files)
      if (parent(name) == path) durable.insert(name);
    return {};
  }
  Result<std::vector<FileInfo>> list(const std::string &directory) override {
    if (!folders.count(directory)) return missing(directory);
    std::vector<FileInfo> out;
    for (auto &[name, bytes] : files)
      if (parent(name) == directory)
        out.push_back({name.substr(directory.size() + 1), static_cast<int64_t>(bytes.size()), 0, false});
    return out;
  }
  /// The machine dies: names that were not synced are gone, contents that were not synced are empty.
  void crash() {
    for (auto it = files.begin(); it != files.end();) {
      if (!synced.count(it->first)) it->second.clear();
      it = durable.count(it->first) ? std::next(it) : files.erase(it);
    }
  }
  size_t open_handles() const { return open_.size(); }

 private:
  static std::string parent(const std::string &path) { return path.substr(0, path.rfind('/')); }
  static Error missing(const std::string &path) { return {Errc::not_found, "no such file: " + path, "", ""}; }
  Result<void> step() {
    if (calls++ == fail_call) return Error{Errc::io, "input/output error", "", ""};
    return {};
  }
  std::map<int, std::string> open_;
  int last_ = 0;
};

}  // namespace vectorshard::store
