// Sparse copies: see sparse_copy.hpp. Beside the file lies a map with a byte for each block: 1 when the block is there. Blocks are written
// before their bytes of the map are, and both are dropped when the server starts anew (spool.cpp), so a map never tells of what is not there.
#include "pg/tier/sparse_copy.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/store/sha256.hpp"
#include "core/tier/blocks.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/foreign_files.hpp"
#include "pg/tier/spool.hpp"
#include "pg/tier/stores.hpp"

namespace vectorshard::tier {

namespace {

// Between two ranges that are missing, so many blocks are fetched along: a request costs more than they do.
constexpr int64_t kGapBlocks = 4;
// Most bytes of one request.
constexpr int64_t kMostBlocks = 128;

[[noreturn]] void failed(const std::string &what, const std::string &path) {
  std::string why = strerror(errno);
  bridge::raise_sqlstate(errno == ENOSPC ? ERRCODE_DISK_FULL : ERRCODE_IO_ERROR, "could not " + what + " file \"" + path + "\": " + why);
}

int open_or_raise(const std::string &path) {
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) failed("open", path);
  return fd;
}

void size_or_raise(int fd, int64_t bytes, const std::string &path) {
  struct stat info;
  if (fstat(fd, &info) != 0 || (info.st_size < bytes && ftruncate(fd, bytes) != 0)) failed("extend", path);
}

void write_or_raise(int fd, std::string_view bytes, int64_t at, const std::string &path) {
  while (!bytes.empty()) {
    ssize_t n = pwrite(fd, bytes.data(), bytes.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) failed("write", path);
    bytes.remove_prefix(static_cast<size_t>(n));
    at += n;
  }
}

}  // namespace

SparseCopy::SparseCopy(std::unique_ptr<store::Store> store, SegmentFacts facts)
    : store_(std::move(store)), facts_(std::move(facts)), path_(spool_sparse(facts_.segment.sha256)), map_path_(path_ + kMapSuffix) {
  ensure_spool();
}

SparseCopy::~SparseCopy() { close_files(); }

void SparseCopy::close_files() {
  if (file_ >= 0) close(file_);
  if (map_ >= 0) close(map_);
  file_ = map_ = -1;
}

/// Anew at each need: somebody may have purged them.
void SparseCopy::open_files() {
  close_files();
  CopiesLock lock(CopiesLock::For::use);
  file_ = open_or_raise(path_);
  map_ = open_or_raise(map_path_);
  size_or_raise(file_, bytes(), path_);
  size_or_raise(map_, block_count(bytes()), map_path_);
  (void)futimens(file_, nullptr);
  (void)futimens(map_, nullptr);
}

std::vector<bool> SparseCopy::present() const {
  std::string map(static_cast<size_t>(block_count(bytes())), 0);
  if (pread(map_, map.data(), map.size(), 0) != static_cast<ssize_t>(map.size())) failed("read", map_path_);
  std::vector<bool> out;
  for (char c : map) out.push_back(c == 1);
  return out;
}

void SparseCopy::fetch(int64_t first, int64_t end) {
  int64_t at = first * kBlockBytes, length = std::min(end * kBlockBytes, bytes()) - at;
  auto got = facts_.version.empty() ? store_->get_range(facts_.segment.key, at, static_cast<size_t>(length))
                                    : store_->get_range_of(facts_.segment.key, facts_.version, at, static_cast<size_t>(length));
  if (!got.ok() && facts_.foreign) raise_foreign(facts_.segment.key, got.error());
  if (!got.ok()) raise_unreadable(*store_, facts_.segment.key, got.error());
  fetched_ += length;
  if (facts_.foreign && static_cast<int64_t>(got.value().size()) != length)
    raise_foreign(facts_.segment.key, {Errc::conflict, "", "It is shorter than it was.", "Retry the statement."});
  if (static_cast<int64_t>(got.value().size()) != length || (!facts_.foreign && !blocks_match(facts_.blocks, first, got.value())))
    bridge::raise({Errc::corrupt, "segment object \"" + facts_.segment.key + "\" is damaged",
                   "Bytes " + std::to_string(at) + " to " + std::to_string(at + length - 1) + " are not those that were written.",
                   "Restore the object, or the store's directory, from its backup."});
  write_or_raise(file_, got.value(), at, path_);
  write_or_raise(map_, std::string(static_cast<size_t>(end - first), 1), first, map_path_);
}

void SparseCopy::need(const std::vector<ByteRange> &ranges) {
  open_files();
  std::vector<bool> there = present();
  std::vector<bool> wanted(there.size(), false);
  for (const ByteRange &r : ranges)
    for (int64_t b = std::max<int64_t>(0, r.first) / kBlockBytes; b * kBlockBytes < std::min(r.second, bytes()); b++) wanted[static_cast<size_t>(b)] = true;
  const auto blocks = static_cast<int64_t>(there.size());
  auto missing = [&](int64_t b) { return wanted[static_cast<size_t>(b)] && !there[static_cast<size_t>(b)]; };
  for (int64_t first = 0; first < blocks; first++) {
    if (!missing(first)) continue;
    int64_t last = first;
    for (int64_t b = first + 1; b < blocks && b - last <= kGapBlocks && b - first < kMostBlocks; b++)
      if (missing(b)) last = b;
    bridge::pg_call([] { CHECK_FOR_INTERRUPTS(); });
    fetch(first, last + 1);
    first = last;
  }
  if (fetched_ > 0) bound_copies();
}

}  // namespace vectorshard::tier
