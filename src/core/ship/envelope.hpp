// A batch in compressed form: its own magic, the method, the size of the batch, and the compressed bytes
// (docs/formats/wire.md). Opening fails closed: nothing is allocated by what the bytes merely claim, and never more than
// the limit.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace vectorshard::ship {

enum class Compression : uint8_t { off = 0, lz4 = 1, zstd = 2 };

/// The largest batch that is opened, in bytes: what fits into one message.
constexpr size_t kBatchBytesMax = size_t{1} << 30;

/// `bytes` in an envelope, or as they are: if compression is off, they are few, or they would not become fewer.
std::string close_envelope(std::string bytes, Compression method);

bool is_envelope(std::string_view bytes);

/// What is inside. Errors: corrupt; also if it is larger than `limit_bytes`.
Result<std::string> open_envelope(std::string_view bytes, size_t limit_bytes = kBatchBytesMax);

}  // namespace vectorshard::ship
