// Compressed batches: see envelope.hpp.
#include "core/ship/envelope.hpp"

#include <lz4.h>
#include <zstd.h>

#include <algorithm>
#include <memory>

#include "core/base/bytes.hpp"

namespace vectorshard::ship {

namespace {

constexpr std::string_view kMagic = "VSZ1";
constexpr size_t kHeaderBytes = 4 + 1 + 4;
constexpr size_t kWorthwhileBytes = 512;  // below, the header and the call cost more than is saved
constexpr size_t kLz4RatioMax = 255;      // one byte of LZ4 stands for at most that many
constexpr size_t kZstdStepBytes = 1 << 20;
constexpr int kZstdLevel = 1;

Error corrupt(const char *what) { return {Errc::corrupt, "compressed batch does not decode", what, ""}; }

/// The compressed bytes; empty if they are not fewer.
std::string compress(std::string_view in, Compression method) {
  std::string out(in.size(), '\0');
  if (method == Compression::lz4) {
    int n = LZ4_compress_default(in.data(), out.data(), static_cast<int>(in.size()), static_cast<int>(out.size()));
    out.resize(n > 0 ? static_cast<size_t>(n) : 0);
  } else {
    size_t n = ZSTD_compress(out.data(), out.size(), in.data(), in.size(), kZstdLevel);
    out.resize(ZSTD_isError(n) ? 0 : n);
  }
  return out;
}

Result<std::string> open_lz4(std::string_view in, size_t size) {
  if (size / kLz4RatioMax > in.size()) return corrupt("It claims to be larger than its bytes can give.");
  std::string out(size, '\0');
  int n = LZ4_decompress_safe(in.data(), out.data(), static_cast<int>(in.size()), static_cast<int>(size));
  if (n < 0 || static_cast<size_t>(n) != size) return corrupt("The LZ4 block is damaged.");
  return out;
}

/// Grows with what really comes out.
Result<std::string> open_zstd(std::string_view in, size_t size) {
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream *)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  if (!stream) throw std::bad_alloc();
  ZSTD_DCtx_setParameter(stream.get(), ZSTD_d_windowLogMax, 27);
  std::string out;
  ZSTD_inBuffer from{in.data(), in.size(), 0};
  size_t left = 1, had = 0;
  while (left != 0) {
    had = out.size();
    if (had == size) return corrupt("The zstd frame holds more than it claims.");
    out.resize(std::min(size, had + std::max(had, kZstdStepBytes)));
    ZSTD_outBuffer to{out.data() + had, out.size() - had, 0};
    left = ZSTD_decompressStream(stream.get(), &to, &from);
    if (ZSTD_isError(left)) return corrupt("The zstd frame is damaged.");
    out.resize(had + to.pos);
    if (left != 0 && out.size() == had && from.pos == from.size) return corrupt("The zstd frame is cut short.");
  }
  if (out.size() != size || from.pos != from.size) return corrupt("The zstd frame does not have the size that it claims.");
  return out;
}

}  // namespace

std::string close_envelope(std::string bytes, Compression method) {
  if (method == Compression::off || bytes.size() < kWorthwhileBytes || bytes.size() > kBatchBytesMax) return bytes;
  std::string inside = compress(bytes, method);
  if (inside.empty() || inside.size() + kHeaderBytes >= bytes.size()) return bytes;
  ByteWriter out;
  out.raw(kMagic);
  out.u8(static_cast<uint8_t>(method));
  out.u32(static_cast<uint32_t>(bytes.size()));
  out.raw(inside);
  return std::move(out).take();
}

bool is_envelope(std::string_view bytes) { return bytes.starts_with(kMagic); }

Result<std::string> open_envelope(std::string_view bytes, size_t limit_bytes) {
  ByteReader in(bytes);
  in.raw(kMagic.size());
  uint8_t method = in.u8();
  size_t size = in.u32();
  if (!in.ok() || !is_envelope(bytes)) return corrupt("The header is cut short.");
  if (size > limit_bytes) return corrupt("It is larger than a batch may be.");
  std::string_view inside = bytes.substr(kHeaderBytes);
  if (method == static_cast<uint8_t>(Compression::lz4)) return open_lz4(inside, size);
  if (method == static_cast<uint8_t>(Compression::zstd)) return open_zstd(inside, size);
  return corrupt("The method is unknown.");
}

}  // namespace vectorshard::ship
