// Executor callbacks of a scan of vectorshard_fdw, and what EXPLAIN says of it.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "commands/explain.h"
#include "nodes/execnodes.h"
}

namespace vectorshard::read {

class ElsewhereScan;

/// The scan of a node; made if there is none yet.
ElsewhereScan *scan_of(ForeignScanState *node);

void begin_scan(ForeignScanState *node, int eflags);
TupleTableSlot *iterate_scan(ForeignScanState *node);
void rescan(ForeignScanState *node);
void end_scan(ForeignScanState *node);
void explain_scan(ForeignScanState *node, ExplainState *es);

}  // namespace vectorshard::read
