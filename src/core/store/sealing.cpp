// Encrypted objects: see sealing.hpp.
#include "core/store/sealing.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <new>

namespace vectorshard::store {

namespace {

constexpr char kMagic[] = "VSENC\0\0\1";  // the last byte is the version
constexpr size_t kMagicBytes = 8, kFrameSizeAt = 8, kPlainAt = 16, kIdAt = 24, kIdBytes = 64, kNonceAt = 88, kNonceBytes = 12,
                 kKeyAt = 100, kTagAt = 132;
static_assert(kIdAt + kIdBytes == kNonceAt && kNonceAt + kNonceBytes == kKeyAt && kKeyAt + kKeyBytes == kTagAt);

unsigned char *raw(std::string &s) { return reinterpret_cast<unsigned char *>(s.data()); }
const unsigned char *raw(std::string_view s) { return reinterpret_cast<const unsigned char *>(s.data()); }

std::string number(uint64_t n, size_t bytes) {
  std::string out;
  for (size_t i = 0; i < bytes; i++, n >>= 8) out.push_back(static_cast<char>(n & 255));
  return out;
}

uint64_t number_at(std::string_view s, size_t at, size_t bytes) {
  uint64_t n = 0;
  for (size_t i = bytes; i-- > 0;) n = n << 8 | static_cast<unsigned char>(s[at + i]);
  return n;
}

std::string random_bytes(size_t n) {
  std::string out(n, '\0');
  if (RAND_bytes(raw(out), static_cast<int>(n)) != 1) throw std::bad_alloc();  // no randomness: nothing may be encrypted
  return out;
}

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Cipher begin(bool sealing, std::string_view key, std::string_view nonce, std::string_view bound_to) {
  Cipher c(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  int length = 0;
  if (!c || EVP_CipherInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, raw(key), raw(nonce), sealing) != 1 ||
      EVP_CipherUpdate(c.get(), nullptr, &length, raw(bound_to), static_cast<int>(bound_to.size())) != 1)
    throw std::bad_alloc();
  return c;
}

/// Cipher text, then its tag.
std::string seal(std::string_view key, std::string_view nonce, std::string_view bound_to, std::string_view plain) {
  Cipher c = begin(true, key, nonce, bound_to);
  std::string out(plain.size() + kTagBytes, '\0');
  int length = 0;
  if (EVP_EncryptUpdate(c.get(), raw(out), &length, raw(plain), static_cast<int>(plain.size())) != 1 ||
      EVP_EncryptFinal_ex(c.get(), raw(out) + length, &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, raw(out) + plain.size()) != 1)
    throw std::bad_alloc();
  return out;
}

/// Nothing if it is not what was sealed.
std::optional<std::string> unseal(std::string_view key, std::string_view nonce, std::string_view bound_to, std::string_view sealed) {
  if (sealed.size() < kTagBytes) return std::nullopt;
  Cipher c = begin(false, key, nonce, bound_to);
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  sealed.remove_suffix(kTagBytes);
  std::string out(sealed.size(), '\0');
  int length = 0;
  if (EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, raw(tag)) != 1 ||
      EVP_DecryptUpdate(c.get(), raw(out), &length, raw(sealed), static_cast<int>(sealed.size())) != 1 ||
      EVP_DecryptFinal_ex(c.get(), raw(out) + length, &length) != 1)
    return std::nullopt;
  return out;
}

/// A frame's nonce is its number: each object has a key of its own, and no frame of it is sealed twice with other content.
std::string frame_nonce(int64_t frame) { return number(static_cast<uint64_t>(frame), kNonceBytes); }

Error damaged(const std::string &object, const std::string &what) {
  return {Errc::corrupt, "encrypted object \"" + object + "\" is damaged", what, "Restore the object from its backup."};
}

}  // namespace

int64_t sealed_bytes(int64_t plain) {
  constexpr auto frame = static_cast<int64_t>(kFrameBytes);
  return static_cast<int64_t>(kSealHeaderBytes) + plain + (plain + frame - 1) / frame * static_cast<int64_t>(kTagBytes);
}

std::optional<int64_t> plain_bytes(int64_t sealed) {
  constexpr auto frame = static_cast<int64_t>(kFrameBytes + kTagBytes);
  int64_t body = sealed - static_cast<int64_t>(kSealHeaderBytes);
  if (body < 0) return std::nullopt;
  int64_t plain = body - (body + frame - 1) / frame * static_cast<int64_t>(kTagBytes);
  if (plain < 0 || sealed_bytes(plain) != sealed) return std::nullopt;
  return plain;
}

Result<std::string> key_id_of(const std::string &object, std::string_view header) {
  if (header.size() < kSealHeaderBytes || header.substr(0, kMagicBytes - 1) != std::string_view(kMagic, kMagicBytes - 1))
    return damaged(object, "It is not encrypted, but its store is one of encrypted objects.");
  if (header[kMagicBytes - 1] != kMagic[kMagicBytes - 1] || number_at(header, kFrameSizeAt, 4) != kFrameBytes)
    return Error{Errc::corrupt, "encrypted object \"" + object + "\" has a format that is not known", "",
                 "It was written by a newer version: update the extension on this node."};
  std::string_view id = header.substr(kIdAt, kIdBytes);
  id = id.substr(0, id.find('\0'));
  for (char c : id)
    if (c <= ' ' || c > '~') return damaged(object, "Its header names no key.");
  return std::string(id);
}

Result<Seal> Seal::make(const KeyRing &ring, const std::string &object, int64_t plain_bytes) {
  const StoreKey &wrapping = ring.newest();
  Seal out(object, wrapping.id, plain_bytes);
  out.key_ = random_bytes(kKeyBytes);
  std::string fixed = std::string(kMagic, kMagicBytes) + number(kFrameBytes, 4) + number(0, 4) + number(static_cast<uint64_t>(plain_bytes), 8) +
                      wrapping.id + std::string(kIdBytes - wrapping.id.size(), '\0');
  std::string nonce = random_bytes(kNonceBytes);
  out.header_ = fixed + nonce + seal(wrapping.key, nonce, fixed + object, out.key_);
  out.header_.resize(kSealHeaderBytes, '\0');
  return out;
}

Result<Seal> Seal::open(const KeyRing &ring, const std::string &object, std::string_view header) {
  auto id = key_id_of(object, header);
  if (!id.ok()) return id.error();
  const StoreKey *wrapping = ring.find(id.value());
  if (!wrapping)
    return Error{Errc::denied, "object \"" + object + "\" is encrypted with key \"" + id.value() + "\", which this node does not have",
                 "Object \"" + object + "\" is encrypted with key \"" + id.value() + "\"; this node has: " + ring.ids() + ".",
                 "Add the key to the file that vectorshard.store_key_file names; keys stay there as long as an object needs them."};
  Seal out(object, id.value(), static_cast<int64_t>(number_at(header, kPlainAt, 8)));
  std::string fixed(header.substr(0, kNonceAt));
  auto key = unseal(wrapping->key, header.substr(kNonceAt, kNonceBytes), fixed + object, header.substr(kKeyAt, kKeyBytes + kTagBytes));
  if (!key)
    return damaged(object, "Object \"" + object + "\" was not encrypted under this name with the key that this node has as \"" + id.value() +
                               "\": the object is another one or damaged, or the key is wrong.");
  out.key_ = *key;
  OPENSSL_cleanse(key->data(), key->size());
  out.header_ = std::string(header.substr(0, kSealHeaderBytes));
  return out;
}

Seal::~Seal() { OPENSSL_cleanse(key_.data(), key_.size()); }

size_t Seal::frame_bytes(int64_t frame) const {
  int64_t left = plain_bytes_ - frame * static_cast<int64_t>(kFrameBytes);
  return static_cast<size_t>(std::clamp<int64_t>(left, 0, kFrameBytes));
}

std::string Seal::bound_to(int64_t frame) const {
  return number(static_cast<uint64_t>(frame), 8) + number(static_cast<uint64_t>(plain_bytes_), 8) + object_;
}

std::string Seal::close_frame(int64_t frame, std::string_view plain) const { return seal(key_, frame_nonce(frame), bound_to(frame), plain); }

Result<std::string> Seal::open_frame(int64_t frame, std::string_view sealed) const {
  std::optional<std::string> plain;
  if (sealed.size() == frame_bytes(frame) + kTagBytes) plain = unseal(key_, frame_nonce(frame), bound_to(frame), sealed);
  if (!plain)
    return damaged(object_, "Frame " + std::to_string(frame + 1) + " of " + std::to_string(frames()) + " of object \"" + object_ +
                                "\", encrypted with key \"" + key_id_ + "\", is not what was written.");
  return *plain;
}

}  // namespace vectorshard::store
