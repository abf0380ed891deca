// The manifest as tables: which segments hold which cold clients. Everything here reads and writes the fabric's own
// tables with the extension's rights and never looks into a segment.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "core/tier/digest.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/tier/segment_read.hpp"
#include "pg/tier/segment_write.hpp"
extern "C" {
#include "utils/snapshot.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::tier {

/// Makes a snapshot the active one until scope end; null: a fresh one.
class ActiveSnapshotScope {
 public:
  explicit ActiveSnapshotScope(Snapshot snapshot) {
    bridge::pg_call([&] { PushActiveSnapshot(snapshot ? snapshot : GetLatestSnapshot()); });
  }
  ~ActiveSnapshotScope() {
    if (std::uncaught_exceptions() == exceptions_) PopActiveSnapshot();  // else the end of the (sub)transaction does
  }
  ActiveSnapshotScope(const ActiveSnapshotScope &) = delete;
  ActiveSnapshotScope &operator=(const ActiveSnapshotScope &) = delete;

 private:
  int exceptions_ = std::uncaught_exceptions();
};

/// A client's share of a segment.
struct ColdShare {
  std::string client;
  int64_t rows = 0;
  std::string digest;  // RowDigest::hex() of its rows
};

struct ColdSegment {
  Segment segment;
  std::vector<ColdShare> clients;
  /// True if no rows of other clients count in it.
  bool whole() const;
};

/// Segments of the cold clients of this node: of `table` (all tables if empty), for `clients` (null: all), as the
/// active snapshot sees the manifest.
std::vector<ColdSegment> cold_segments(const std::string &table, const std::vector<std::string> *clients);

/// One segment by name, whatever its kind, under the active snapshot. Raises not_found.
Segment find_segment(const std::string &name);

/// A segment about to be published: its manifest row and what was written.
struct NewSegment {
  Segment segment;
  std::string kind;  // "client" or "partition"
  RowDigest content;
  std::string zones, blocks;
  std::vector<std::pair<std::string, RowDigest>> clients;
};
/// Inserts the manifest row, in the caller's transaction. It is this node's own row and is shipped.
void insert_segment(const NewSegment &segment);

}  // namespace vectorshard::tier
