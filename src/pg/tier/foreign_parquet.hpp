// What a foreign table over Parquet files of others reads: its files, and each of them as a segment with the columns of the table.
#pragma once
#include <string>
#include <vector>

#include "pg/tier/foreign_files.hpp"

namespace vectorshard::tier {

struct ForeignFiles {
  std::string store;
  std::vector<store::ObjectInfo> objects;
};
/// The store of a table.
std::string foreign_store(Oid relid);
/// The files of a table as they are now. Raises.
ForeignFiles list_foreign_files(Oid relid, Patience patience = Patience::usual);

/// A file as facts of the table, whose own (foreign_facts) are `table`. Raises when the footer cannot be read.
SegmentFacts facts_of_file(const SegmentFacts &table, ForeignFile &file);

}  // namespace vectorshard::tier
