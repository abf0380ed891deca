// Executor callbacks of a scan of vectorshard_fdw, and what EXPLAIN says of it.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "commands/explain.h"
#include "nodes/execnodes.h"
}

namespace vectorshard::read {

void begin_scan(ForeignScanState *node, int eflags);
TupleTableSlot *iterate_scan(ForeignScanState *node);
void rescan(ForeignScanState *node);
void end_scan(ForeignScanState *node);
void explain_scan(ForeignScanState *node, ExplainState *es);

}  // namespace vectorshard::read
