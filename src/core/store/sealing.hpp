// How an encrypted object looks (docs/formats/segment.md): a header that names its key and holds the object's own random key, wrapped, then
// frames of AES-256-GCM. Each frame is bound to its object, its number and the object's length, so that none can be moved, left out or
// put in another's place. Pure bytes; the store is in encrypted_store.hpp.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/store/key_ring.hpp"

namespace vectorshard::store {

constexpr size_t kSealHeaderBytes = 160;
constexpr size_t kFrameBytes = 1 << 20;  // of the plain object
constexpr size_t kTagBytes = 16;

int64_t sealed_bytes(int64_t plain_bytes);
/// Nothing if no sealed object is that long.
std::optional<int64_t> plain_bytes(int64_t sealed_bytes);

/// One object's key, while it is written or read.
class Seal {
 public:
  /// For a new object: a random key, wrapped by the ring's newest.
  static Result<Seal> make(const KeyRing &ring, const std::string &object, int64_t plain_bytes);
  /// From the header of an object. Errors: corrupt, denied (the ring lacks the key).
  static Result<Seal> open(const KeyRing &ring, const std::string &object, std::string_view header);
  ~Seal();
  Seal(Seal &&) = default;
  Seal &operator=(Seal &&) = default;

  const std::string &header() const { return header_; }
  const std::string &key_id() const { return key_id_; }
  int64_t plain_bytes() const { return plain_bytes_; }
  int64_t frames() const { return (plain_bytes_ + static_cast<int64_t>(kFrameBytes) - 1) / static_cast<int64_t>(kFrameBytes); }
  /// Plain bytes of that frame.
  size_t frame_bytes(int64_t frame) const;
  /// Where that frame begins in the sealed object.
  static int64_t frame_at(int64_t frame) {
    return static_cast<int64_t>(kSealHeaderBytes) + frame * static_cast<int64_t>(kFrameBytes + kTagBytes);
  }
  std::string close_frame(int64_t frame, std::string_view plain) const;
  /// Errors: corrupt.
  Result<std::string> open_frame(int64_t frame, std::string_view sealed) const;

 private:
  Seal(std::string object, std::string key_id, int64_t plain_bytes)
      : object_(std::move(object)), key_id_(std::move(key_id)), plain_bytes_(plain_bytes) {}
  std::string bound_to(int64_t frame) const;

  std::string object_, key_id_;
  int64_t plain_bytes_;
  std::string header_, key_;
};

/// The id of the key that the header names. Errors: corrupt if it is none.
Result<std::string> key_id_of(const std::string &object, std::string_view header);

}  // namespace vectorshard::store
