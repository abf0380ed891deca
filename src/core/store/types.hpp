// The Store port: an object store as the tier stage sees it. Objects are immutable and named by their content, so
// putting one twice is harmless; a put that returned success is durable. Nothing here may hold a whole object in memory.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace vectorshard::store {

/// Where the bytes of an object come from, in order.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Up to `max` next bytes into `out`; 0 at the end.
  virtual Result<size_t> read(char *out, size_t max) = 0;
  /// To the beginning, for another pass over the same bytes.
  virtual Result<void> rewind() = 0;
};

/// Where the bytes of an object go, in order.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<void> write(std::string_view bytes) = 0;
};

/// An object in a store. age_s: seconds since it was written, by the store's own clock.
struct ObjectInfo {
  std::string key;
  int64_t bytes = 0;
  int64_t age_s = 0;
  std::string version;  // another one with every content that it has (ETag); empty where the store tells none
};

/// What put() must find true of the bytes it stored.
struct ObjectContent {
  int64_t bytes = 0;
  std::string sha256;  // lower-case hex
};

/// Whether an object can be read now.
enum class Availability {
  online,
  archived,  // somebody has to ask for it: thaw()
  thawing,   // somebody has
};
struct ObjectState {
  Availability availability = Availability::online;
  int64_t until_unix_s = 0;  // of a thawed copy: when it goes; 0: it stays
  std::string tier;          // the store's own word; empty where it has none
};

/// Most keys that list() gives at once.
constexpr size_t kListMax = 1000;

class Store {
 public:
  virtual ~Store() = default;
  /// Stores an object durably. Idempotent for the same content; errors: conflict (another content has this key),
  /// no_space, denied, io, corrupt (the source did not give `content`).
  virtual Result<void> put(const std::string &key, ByteSource &source, const ObjectContent &content) = 0;
  /// The whole object. Errors: not_found, archived, denied, unreachable, io.
  virtual Result<void> get(const std::string &key, ByteSink &sink) = 0;
  /// `length` bytes from `offset` (fewer at the object's end).
  virtual Result<std::string> get_range(const std::string &key, int64_t offset, size_t length) = 0;
  /// The same of this version alone (not empty): conflict if the object has another one. Where objects never change none is looked at.
  virtual Result<std::string> get_range_of(const std::string &key, const std::string &, int64_t offset, size_t length) {
    return get_range(key, offset, length);
  }
  virtual Result<ObjectInfo> head(const std::string &key) = 0;
  /// Removing what is not there succeeds, if the store itself is.
  virtual Result<void> remove(const std::string &key) = 0;
  /// Objects directly under the folder `prefix` with keys after `after`, sorted, at most kListMax.
  virtual Result<std::vector<ObjectInfo>> list(const std::string &prefix, const std::string &after) = 0;
  virtual Result<ObjectState> state(const std::string &key) = 0;
  /// Asks an archive for the object, which takes the store hours. Asking twice is fine, and so is what is online.
  virtual Result<void> thaw(const std::string &key) = 0;
  /// Moves an object that was put and verified to the tier of the store, if that is an archive: put() leaves it readable.
  virtual Result<void> settle(const std::string &key) = 0;
  /// A local path under which the object can be read at once, or empty when it must be fetched.
  virtual std::string local_path(const std::string &key) const = 0;
  /// The id of the key with which the object is encrypted; empty in a store that does not.
  virtual Result<std::string> key_id(const std::string &) { return std::string(); }
  /// Removes what puts into this folder left that were cut off; gives how many. `alive`: whether the writer of that tag still runs;
  /// where a store knows none, the caller must be the only one that writes large objects there.
  virtual Result<int> sweep(const std::string &folder, const std::function<bool(const std::string &)> &alive) = 0;
};

/// Keys are relative paths of letters, digits, '-', '_', '.' with '/' between non-empty parts, none of them "." or "..".
bool valid_key(std::string_view key);

}  // namespace vectorshard::store
