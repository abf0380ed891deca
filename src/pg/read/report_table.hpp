// The foreign table vectorshard.telemetry: each row that is inserted is a report of a client.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "executor/tuptable.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

/// Where the columns of the table are; 0: it has no such column.
struct ReportColumns {
  AttrNumber client = 0, lon = 0, lat = 0, speed_mps = 0, heading_deg = 0, observed_at = 0;
};

/// Raises if a column is missing or of another type. Plain C.
ReportColumns report_columns(Relation relation);

/// Gives the row to telemetry. False: refused as late or implausible, and counted there. Raises for malformed rows.
bool take_row(const ReportColumns &columns, TupleTableSlot *slot);

}  // namespace vectorshard::read
