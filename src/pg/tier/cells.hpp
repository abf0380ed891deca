// Between PostgreSQL Datums and the cells of a segment: which kind a type is stored as, both conversions, exact for
// every type. The functions that take Datums may ereport: call them inside bridge::pg_call.
#pragma once
#include <string>
#include <vector>

#include "core/tier/types.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/tupdesc.h"
}

namespace vectorshard::tier {

/// How values of a type are stored.
struct StoredAs {
  CellKind kind = CellKind::send;
  int precision = 0, scale = 0;  // of a decimal
  int32 srid = 0;                // of a geometry
};
StoredAs stored_as(Oid type, int32 typmod);
inline StoredAs stored_as(const ManifestColumn &column) { return {column.kind, column.precision, column.scale, column.srid}; }

/// One column's conversions. Plain data; its functions' memory lives in the context given to make().
class ColumnCodec {
 public:
  /// For values of `type` that are stored so. Raises (as an ereport: inside pg_call) when the type has no usable functions.
  static ColumnCodec make(Oid type, const StoredAs &stored, MemoryContext context);

  /// True if the output text depends on settings (a type without send function).
  bool needs_settings() const { return needs_settings_; }
  /// Bytes of the cell live in the current memory context.
  Cell to_cell(Datum value, bool null);
  /// The Datum lives in the current memory context.
  Datum from_cell(const Cell &cell, int32 typmod);

 private:
  CellKind kind_ = CellKind::send;
  int scale_ = 0;
  int32 srid_ = 0;
  Oid io_param_ = InvalidOid;
  bool needs_settings_ = false;
  FmgrInfo out_{}, in_{};
};

/// The server's encoding for send and receive functions, and where `settings` says so fixed output settings, whatever
/// the session has set; back at scope end. Nearly free when there is nothing to change.
class StableConversion {
 public:
  explicit StableConversion(bool settings);
  ~StableConversion();
  StableConversion(const StableConversion &) = delete;
  StableConversion &operator=(const StableConversion &) = delete;

 private:
  int guc_level_ = 0;
  int encoding_ = -1;
};

/// The manifest columns of a relation's live columns.
std::vector<ManifestColumn> manifest_columns(TupleDesc desc);

/// The name of a column inside the file: unique whatever the letter case, plain ASCII.
std::string field_name(const std::vector<ManifestColumn> &columns, size_t index);

}  // namespace vectorshard::tier
