// Executor callbacks of a scan: see scan.hpp.
#include "pg/read/scan.hpp"

extern "C" {
#include "executor/executor.h"
}

namespace vectorshard::read {

void begin_scan(ForeignScanState *, int) {}
TupleTableSlot *iterate_scan(ForeignScanState *node) { return ExecClearTuple(node->ss.ss_ScanTupleSlot); }
void rescan(ForeignScanState *) {}
void end_scan(ForeignScanState *) {}

}  // namespace vectorshard::read
