// A copy of an object of which only those blocks are fetched that somebody needs, shared by all processes. Each block is checked against the
// manifest before anybody may read it; those of a file of others are of one version of it. What is not there reads as zeros, which DuckDB takes for damage: whoever reads must ask for it first.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/store/types.hpp"
#include "pg/tier/segment_facts.hpp"

namespace vectorshard::tier {

/// Bytes of an object, from the first to before the second.
using ByteRange = std::pair<int64_t, int64_t>;

class SparseCopy {
 public:
  /// Raises if there is no place for it. Of a segment whose blocks are in the manifest.
  SparseCopy(std::unique_ptr<store::Store> store, SegmentFacts facts);
  ~SparseCopy();
  SparseCopy(const SparseCopy &) = delete;
  SparseCopy &operator=(const SparseCopy &) = delete;

  const std::string &path() const { return path_; }
  /// Fetches what is missing of the ranges. Raises when the object cannot be read or is damaged; can be cancelled between requests. What was
  /// asked for stays for a minute at least.
  void need(const std::vector<ByteRange> &ranges);
  /// Bytes that this process fetched for it.
  int64_t fetched() const { return fetched_; }
  int64_t bytes() const { return facts_.segment.bytes; }

 private:
  void open_files();
  void close_files();
  void fetch(int64_t first, int64_t end);
  std::vector<bool> present() const;

  std::unique_ptr<store::Store> store_;
  SegmentFacts facts_;
  std::string path_, map_path_;
  int file_ = -1, map_ = -1;
  int64_t fetched_ = 0;
};

}  // namespace vectorshard::tier
