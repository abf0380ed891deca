// A store in a directory: see file_store.hpp.
#include "core/store/file_store.hpp"

#include <algorithm>

#include "core/store/sha256.hpp"

namespace vectorshard::store {

namespace {

constexpr size_t kBlock = 1 << 16;
constexpr char kTemporary[] = ".tmp-";

/// Closes a handle at the end of a scope.
struct Closer {
  FileOps &files;
  int handle;
  ~Closer() { files.close(handle); }
};

Error bad_key(const std::string &key) {
  return {Errc::invalid_argument, "invalid object key \"" + key + "\"", "", ""};
}

/// Reads a whole file in blocks into `take(view)`.
template <class F>
Result<void> read_all(FileOps &files, const std::string &path, F take) {
  auto handle = files.open_read(path);
  if (!handle.ok()) return handle.error();
  Closer closer{files, handle.value()};
  std::string block(kBlock, '\0');
  for (int64_t offset = 0;;) {
    auto n = files.read_at(handle.value(), offset, block.data(), block.size());
    if (!n.ok()) return n.error();
    if (n.value() == 0) return {};
    if (Result<void> r = take(std::string_view(block.data(), n.value())); !r.ok()) return r;
    offset += static_cast<int64_t>(n.value());
  }
}

bool key_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.';
}

}  // namespace

bool valid_key(std::string_view key) {
  if (key.empty() || key.size() > 900) return false;
  while (true) {
    size_t end = std::min(key.find('/'), key.size());
    std::string_view part = key.substr(0, end);
    if (part.empty() || part == "." || part == "..") return false;
    if (!std::all_of(part.begin(), part.end(), key_character)) return false;
    if (end == key.size()) return true;
    key.remove_prefix(end + 1);
  }
}

Result<std::string> path_of_url(const std::string &url) {
  const std::string scheme = "file://";
  const std::string hint = "Give an absolute directory, for example file:///srv/vectorshard.";
  if (url.compare(0, scheme.size(), scheme) != 0)
    return Error{Errc::invalid_argument, "unknown kind of store", "The URL is \"" + url + "\".",
                 "Stores begin with file://, s3:// or azure://. " + hint};
  std::string path = url.substr(scheme.size());
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  if (path.size() < 2 || path[0] != '/')
    return Error{Errc::invalid_argument, "the path of a file:// store must be absolute", "The URL is \"" + url + "\".",
                 hint};
  for (std::string rest = path.substr(1); !rest.empty();) {
    size_t end = std::min(rest.find('/'), rest.size());
    std::string part = rest.substr(0, end);
    if (part.empty() || part == "." || part == "..")
      return Error{Errc::invalid_argument, "the path of a store must not hold empty parts, \".\" or \"..\"",
                   "The URL is \"" + url + "\".", hint};
    rest.erase(0, std::min(end + 1, rest.size()));
  }
  return path;
}

Result<void> FileStore::make_folders(const std::string &key) {
  for (size_t at = key.find('/'); at != std::string::npos; at = key.find('/', at + 1))
    if (auto r = files_.make_directory(path_of(key.substr(0, at))); !r.ok()) {
      Error e = r.error();
      if (e.code == Errc::not_found) e.code = Errc::io;  // the store is not mounted: it may be later
      return e;
    }
  return {};
}

/// Every folder on the way is synced, so that a folder made just now survives too.
Result<void> FileStore::sync_folders(const std::string &key) {
  for (size_t at = key.rfind('/'); at != std::string::npos && at > 0; at = key.rfind('/', at - 1))
    if (auto r = files_.sync_directory(path_of(key.substr(0, at))); !r.ok()) return r;
  return files_.sync_directory(root_);
}

Result<void> FileStore::write_temporary(const std::string &path, ByteSource &source, const ObjectContent &content) {
  if (auto r = files_.remove(path); !r.ok()) return r;  // left by an earlier crash of this very writer
  auto handle = files_.create(path);
  if (!handle.ok()) return handle.error();
  Closer closer{files_, handle.value()};
  Sha256 sha;
  int64_t bytes = 0;
  std::string block(kBlock, '\0');
  while (true) {
    auto n = source.read(block.data(), block.size());
    if (!n.ok()) return n.error();
    if (n.value() == 0) break;
    std::string_view rest(block.data(), n.value());
    sha.add(rest);
    bytes += static_cast<int64_t>(rest.size());
    while (!rest.empty()) {
      auto written = files_.write(handle.value(), rest);
      if (!written.ok()) return written.error();
      rest.remove_prefix(written.value());
    }
  }
  if (bytes != content.bytes || sha.hex() != content.sha256)
    return Error{Errc::corrupt, "the bytes to store changed while they were stored",
                 std::to_string(bytes) + " bytes came, " + std::to_string(content.bytes) + " were announced.", ""};
  return files_.sync(handle.value());
}

/// Success if the existing object has exactly this content.
Result<void> FileStore::check_existing(const std::string &key, const ObjectContent &content) {
  Sha256 sha;
  int64_t bytes = 0;
  auto read = read_all(files_, path_of(key), [&](std::string_view block) -> Result<void> {
    sha.add(block);
    bytes += static_cast<int64_t>(block.size());
    return {};
  });
  if (!read.ok()) return read;
  if (bytes == content.bytes && sha.hex() == content.sha256) return {};
  return Error{Errc::conflict, "object \"" + key + "\" exists with other content",
               "It has " + std::to_string(bytes) + " bytes, the new one " + std::to_string(content.bytes) + ".",
               "Somebody else writes into this store, or the object is damaged: look at it, then remove it."};
}

Result<void> FileStore::put(const std::string &key, ByteSource &source, const ObjectContent &content) {
  if (!valid_key(key)) return bad_key(key);
  if (files_.stat(path_of(key)).ok()) {
    if (auto r = check_existing(key, content); !r.ok()) return r;
    return sync_folders(key);  // the earlier put may have crashed before its own
  }
  if (auto r = make_folders(key); !r.ok()) return r;
  std::string temporary = path_of(key) + kTemporary + temp_tag_;
  Result<void> done = write_temporary(temporary, source, content);
  if (done.ok()) done = files_.rename(temporary, path_of(key));
  if (!done.ok()) {
    (void)files_.remove(temporary).ok();
    return done;
  }
  return sync_folders(key);
}

Result<void> FileStore::get(const std::string &key, ByteSink &sink) {
  if (!valid_key(key)) return bad_key(key);
  return read_all(files_, path_of(key), [&](std::string_view block) { return sink.write(block); });
}

Result<std::string> FileStore::get_range(const std::string &key, int64_t offset, size_t length) {
  if (!valid_key(key)) return bad_key(key);
  auto handle = files_.open_read(path_of(key));
  if (!handle.ok()) return handle.error();
  Closer closer{files_, handle.value()};
  std::string out;
  std::string block(std::min(length, kBlock), '\0');
  while (out.size() < length) {
    size_t want = std::min(block.size(), length - out.size());
    auto n = files_.read_at(handle.value(), offset + static_cast<int64_t>(out.size()), block.data(), want);
    if (!n.ok()) return n.error();
    if (n.value() == 0) break;
    out.append(block, 0, n.value());
  }
  return out;
}

Result<ObjectInfo> FileStore::head(const std::string &key) {
  if (!valid_key(key)) return bad_key(key);
  auto info = files_.stat(path_of(key));
  if (!info.ok()) return info.error();
  return ObjectInfo{key, info.value().bytes, info.value().age_s};
}

Result<ObjectState> FileStore::state(const std::string &key) {
  auto found = head(key);
  if (!found.ok()) return found.error();
  return ObjectState{};
}

Result<void> FileStore::remove(const std::string &key) {
  if (!valid_key(key)) return bad_key(key);
  // Of a file system that is not mounted now, nothing is gone.
  std::string folder = path_of(key);
  folder.resize(folder.rfind('/'));
  if (auto there = files_.stat(folder); !there.ok()) {
    Error e = there.error();
    if (e.code == Errc::not_found) e.code = Errc::io;
    return e;
  }
  return files_.remove(path_of(key));
}

Result<int> FileStore::sweep(const std::string &folder, const std::function<bool(const std::string &)> &alive) {
  if (!valid_key(folder)) return bad_key(folder);
  auto files = files_.list(path_of(folder));
  if (!files.ok() && files.error().code == Errc::not_found && files_.stat(root_).ok()) return 0;
  if (!files.ok()) return files.error();
  int removed = 0;
  for (const FileInfo &f : files.value()) {
    size_t at = f.name.rfind(kTemporary);
    if (f.directory || at == std::string::npos || alive(f.name.substr(at + std::string_view(kTemporary).size()))) continue;
    if (auto r = files_.remove(path_of(folder) + "/" + f.name); !r.ok()) return r.error();
    removed++;
  }
  return removed;
}

Result<std::vector<ObjectInfo>> FileStore::list(const std::string &prefix, const std::string &after) {
  if (!valid_key(prefix)) return bad_key(prefix);
  auto files = files_.list(path_of(prefix));
  if (!files.ok()) {
    if (files.error().code == Errc::not_found) return std::vector<ObjectInfo>{};
    return files.error();
  }
  std::vector<ObjectInfo> out;
  for (const FileInfo &f : files.value()) {
    std::string key = prefix + "/" + f.name;
    if (!f.directory && key > after) out.push_back({key, f.bytes, f.age_s});
  }
  std::sort(out.begin(), out.end(), [](const auto &a, const auto &b) { return a.key < b.key; });
  if (out.size() > kListMax) out.resize(kListMax);
  return out;
}

}  // namespace vectorshard::store
