// What this process knows of segments: their manifest rows, which never change, and how the columns of a relation lie in one.
#pragma once
#include <string>
#include <vector>

#include "core/tier/types.hpp"
#include "pg/tier/segment_read.hpp"

namespace vectorshard::tier {

/// What a file of others (foreign_parquet.hpp) has for a column of its table.
struct ForeignField {
  std::string name;        // in the file; empty: there is no such column
  std::string expression;  // of it, that gives what the column's kind is
  bool as_is = false;      // it is the column of the file, nothing else
};

/// A segment and the zones of its columns.
struct SegmentFacts {
  Segment segment;
  std::string blocks;       // checksums (core/tier/blocks.hpp); empty: none were kept
  std::vector<Zone> zones;  // per manifest column; nulls < 0: not known
  // A file of others instead of a segment: its columns are those of the table, its SHA-256 only the name of its copies.
  bool foreign = false;
  std::string version;               // of the object: another one is not read; empty: that of a file at `path`
  std::string path;                  // where the file is; empty: it must be fetched
  std::vector<ForeignField> fields;  // per column; empty: of no certain file
  bool places_known = false;         // the footer tells where columns lie, by their names
};

/// The facts of a segment, read from the manifest as it is now at the first call in this process. Raises not_found. The reference is
/// valid until the next call with another name.
const SegmentFacts &facts_of(const std::string &segment);

/// Of a stub its segment's, of a foreign table over files of others those of its columns.
SegmentFacts facts_of_table(Oid relid);

/// The segment of a moved partition (a stub). Raises if it is none.
std::string segment_of_table(Oid relid);

/// Where the columns of a relation lie in a segment: by name, a renamed one by its number. Per attribute (from 0): the manifest column,
/// or -1 if it came later.
std::vector<int> stored_columns(const std::vector<ManifestColumn> &columns, TupleDesc desc);

/// The type that the manifest names, or InvalidOid if it is no more.
Oid stored_type(const ManifestColumn &column);

/// True if values of the attribute lie in the segment as they are now: the type has not changed.
bool stored_as_is(const ManifestColumn &column, Form_pg_attribute attribute);

}  // namespace vectorshard::tier
