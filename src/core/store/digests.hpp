// Digests and encodings of small values by OpenSSL: what signing a request and checking a part of an object need.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace vectorshard::store {

/// Raw bytes.
std::string hmac_sha256(std::string_view key, std::string_view message);
std::string md5(std::string_view bytes);

std::string sha256_hex(std::string_view bytes);
/// Lower-case.
std::string hex(std::string_view bytes);
std::string base64(std::string_view bytes);
/// Nothing if it is no base64.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace vectorshard::store
