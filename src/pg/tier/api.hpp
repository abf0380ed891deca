// What other stages may ask of tier: reading the rows of cold clients and of moved partitions, and bringing back.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/tuptable.h"
#include "utils/snapshot.h"
}

namespace vectorshard::tier {

/// Hooks for stubs: moved partitions that stay attached. Called while the library is loaded.
void init_stubs();

/// Scans rows that lie in segments into slots. Destroy it before the transaction ends; cancel works between chunks.
class ColdScan {
 public:
  virtual ~ColdScan() = default;
  /// Stores the next row as a virtual tuple (all columns of the relation, missing ones null) or returns false.
  /// Datums live until the next call.
  virtual bool next(TupleTableSlot *slot) = 0;
  /// For EXPLAIN ANALYZE: segments read.
  virtual int segments_read() const = 0;
};

/// True if `client` is cold on this node, as `snapshot` sees it.
bool cold_under(Snapshot snapshot, std::string_view client);
/// The same of many, each at its place.
std::vector<bool> cold_under(Snapshot snapshot, const std::vector<std::string> &clients);

/// Rows of `relid` (a vector-shard table) of the given cold clients, or of all cold clients of this node when
/// `clients` is null, as `snapshot` sees the manifest. Raises with a hint when DuckDB or the store is not there.
std::unique_ptr<ColdScan> scan_cold_clients(Oid relid, const std::vector<std::string> *clients, Snapshot snapshot);

/// Rows of the foreign table `relid` that stands for a moved partition (its segments are in the manifest).
std::unique_ptr<ColdScan> scan_partition(Oid relid, Snapshot snapshot);

/// Brings the rows of a cold client back into the heap, with its `resident` and `holder` rows, in a transaction of
/// the caller's; false if it is not cold (already back). Rows keep their versions.
bool bring_back(std::string_view client);

}  // namespace vectorshard::tier
