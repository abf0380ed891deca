// Keys of stores: see key_ring.hpp.
#include "core/store/key_ring.hpp"

#include <openssl/crypto.h>

#include <algorithm>
#include <optional>

#include "core/store/digests.hpp"

namespace vectorshard::store {

namespace {

constexpr const char *kHint = "A line is an id, a space, and 32 bytes in base64, as of: echo \"2026-01 $(openssl rand -base64 32)\".";

Error bad_line(size_t number, const std::string &why) {
  return {Errc::invalid_argument, "line " + std::to_string(number) + " of the file with the keys of stores cannot be used", why, kHint};
}

bool id_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

std::string_view next_word(std::string_view &line) {
  size_t begin = std::min(line.find_first_not_of(" \t\r"), line.size());
  line.remove_prefix(begin);
  std::string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    int byte = 0;
    for (char c : text.substr(i, 2)) {
      int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
      if (digit < 0) return std::nullopt;
      byte = byte * 16 + digit;
    }
    out.push_back(static_cast<char>(byte));
  }
  return out;
}

}  // namespace

KeyRing::~KeyRing() {
  for (StoreKey &k : keys_) OPENSSL_cleanse(k.key.data(), k.key.size());
}

const StoreKey *KeyRing::find(std::string_view id) const {
  for (const StoreKey &k : keys_)
    if (k.id == id) return &k;
  return nullptr;
}

std::string KeyRing::ids() const {
  std::string out;
  for (const StoreKey &k : keys_) out += (out.empty() ? "" : ", ") + k.id;
  return out;
}

Result<KeyRing> read_key_ring(std::string_view text) {
  std::vector<StoreKey> keys;
  for (size_t number = 1; !text.empty(); number++) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    std::string_view id = next_word(line), secret = next_word(line);
    if (id.empty() || id[0] == '#') continue;
    if (id.size() > kKeyIdMax || !std::all_of(id.begin(), id.end(), id_character))
      return bad_line(number, "Its id is not 1 to 63 letters, digits, \"-\", \"_\" and \".\".");
    if (secret.empty() || !next_word(line).empty()) return bad_line(number, "It is not two words.");
    std::optional<std::string> key = secret.size() == 2 * kKeyBytes ? from_hex(secret) : from_base64(secret);
    if (!key || key->size() != kKeyBytes) return bad_line(number, "Its key is not 32 bytes in base64 or hex.");
    if (std::any_of(keys.begin(), keys.end(), [&](const StoreKey &k) { return k.id == id; }))
      return bad_line(number, "Its id stands in a line before it, too.");
    keys.push_back({std::string(id), *key});
  }
  if (keys.empty()) return Error{Errc::invalid_argument, "the file with the keys of stores holds no key", "", kHint};
  return KeyRing(std::move(keys));
}

}  // namespace vectorshard::store
