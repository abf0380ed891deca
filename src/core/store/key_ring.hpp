// The keys with which objects are encrypted before they leave the server: as a file outside the database has them. Which one an object
// needs stands in the object; what is in a key never leaves this struct.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace vectorshard::store {

constexpr size_t kKeyBytes = 32;
constexpr size_t kKeyIdMax = 63;

struct StoreKey {
  std::string id;   // letters, digits, '-', '_', '.'
  std::string key;  // kKeyBytes raw bytes
};

class KeyRing {
 public:
  KeyRing() = default;
  explicit KeyRing(std::vector<StoreKey> keys) : keys_(std::move(keys)) {}
  ~KeyRing();
  KeyRing(KeyRing &&) = default;
  KeyRing &operator=(KeyRing &&) = default;
  KeyRing(const KeyRing &) = default;
  KeyRing &operator=(const KeyRing &) = default;
  /// The one for new objects: the last of the file. The ring must not be empty.
  const StoreKey &newest() const { return keys_.back(); }
  const StoreKey *find(std::string_view id) const;
  bool empty() const { return keys_.empty(); }
  /// "a, b": for messages.
  std::string ids() const;

 private:
  std::vector<StoreKey> keys_;
};

/// Lines "id key", where the key is 32 bytes as base64 or 64 hex digits; empty lines and those with '#' count for nothing. Errors:
/// invalid_argument, which names the line and never what it says.
Result<KeyRing> read_key_ring(std::string_view text);

}  // namespace vectorshard::store
