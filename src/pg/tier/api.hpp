// What other stages may ask of tier: reading the rows of cold clients and of moved partitions, and bringing back.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/store/types.hpp"
#include "core/tier/foreign_geometry.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/tier/cold_rows.hpp"
#include "pg/tier/segment_condition.hpp"
#include "pg/tier/segment_query.hpp"
extern "C" {
#include "access/htup.h"
#include "storage/block.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
}

namespace vectorshard::tier {

/// Hooks for stubs: moved partitions that stay attached. Called while the library is loaded.
void init_stubs();
/// True if the table is a stub. Plain C: inside pg_call.
bool is_stub(Oid relid);

/// True if `client` is cold on this node, as `snapshot` sees it.
bool cold_under(Snapshot snapshot, std::string_view client);
/// The same of many, each at its place.
std::vector<bool> cold_under(Snapshot snapshot, const std::vector<std::string> &clients);

/// Rows of `relid` (a vector-shard table) of the given cold clients, or of all cold clients of this node when
/// `clients` is null, as `snapshot` sees the manifest. Raises with a hint when DuckDB or the store is not there.
std::unique_ptr<ColdScan> scan_cold_clients(Oid relid, const std::vector<std::string> *clients, Snapshot snapshot);

/// Brings the rows of a cold client back into the heap, with its `resident` and `holder` rows, in a transaction of
/// the caller's; false if it is not cold (already back). Rows keep their versions.
bool bring_back(std::string_view client);

/// Parquet files of others in a store (foreign tables of role 'parquet', src/pg/tier/foreign_parquet.cpp). They are in no manifest and may be replaced at
/// any time. All of these raise and need an open transaction.
struct ForeignColumn {
  std::string name, duck_type, type;           // in the file, and the type of PostgreSQL that holds its values exactly
  std::optional<ForeignGeometry> geometry{};  // of well-known binary
  std::string remark{};                        // a sentence: what is not as it might be expected
  bool operator==(const ForeignColumn &) const = default;
};
/// The files (*.parquet) directly in a folder of the store, and the columns of one.
std::vector<store::ObjectInfo> foreign_objects(const std::string &store, const std::string &folder);
std::vector<ForeignColumn> foreign_columns(const std::string &store, const store::ObjectInfo &object);
/// Makes the columns of some files those of one more, too; false if they have others.
bool share_columns(std::vector<ForeignColumn> *all, const std::vector<ForeignColumn> &one);
/// The columns of a foreign table as a segment would have them, of no certain file.
SegmentFacts foreign_facts(Oid relid);
/// The rows that its files have now, about, and how many files they are.
double foreign_rows(Oid relid, int *files);
/// ANALYZE of such a table: the pages that a heap of its rows would have, by which a parent weighs it; and, as AcquireSampleRowsFunc, a sample.
BlockNumber foreign_pages(Relation rel);
int sample_foreign_files(Relation rel, int level, HeapTuple *rows, int most, double *total, double *dead);
/// The store and the file or folder in it, for people.
std::string foreign_place(Oid relid);
/// Its files as they are now.
struct ForeignFiles;
std::shared_ptr<const ForeignFiles> foreign_files_of(Oid relid);
/// The answers of the files to a question, one after the other.
std::unique_ptr<ColdScan> scan_foreign_files(SegmentQuestion question, std::shared_ptr<const ForeignFiles> files);

}  // namespace vectorshard::tier
