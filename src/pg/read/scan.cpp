// Executor callbacks of a scan: see scan.hpp. Beginning costs nothing: most scans stand beside a heap that has it all.
#include "pg/read/scan.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/elsewhere.hpp"
extern "C" {
#include "executor/executor.h"
}

namespace vectorshard::read {

namespace {

/// The scan's object, made when the first row is wanted. It goes with the query's memory, after an error too.
ElsewhereScan *scan_of(ForeignScanState *node) {
  if (node->fdw_state) return static_cast<ElsewhereScan *>(node->fdw_state);
  auto *scan = new ElsewhereScan(node);
  bridge::pg_call([&] {
    auto *callback = static_cast<MemoryContextCallback *>(
        MemoryContextAlloc(node->ss.ps.state->es_query_cxt, sizeof(MemoryContextCallback)));
    callback->func = [](void *state) { delete static_cast<ElsewhereScan *>(state); };
    callback->arg = scan;
    node->fdw_state = scan;
    MemoryContextRegisterResetCallback(node->ss.ps.state->es_query_cxt, callback);
  });
  return scan;
}

}  // namespace

void begin_scan(ForeignScanState *, int) {}

TupleTableSlot *iterate_scan(ForeignScanState *node) {
  TupleTableSlot *slot = node->ss.ss_ScanTupleSlot;
  if (!scan_of(node)->next(slot)) return ExecClearTuple(slot);
  return slot;
}

void rescan(ForeignScanState *node) {
  if (node->fdw_state) static_cast<ElsewhereScan *>(node->fdw_state)->rewind();
}

void end_scan(ForeignScanState *node) {
  if (node->fdw_state) static_cast<ElsewhereScan *>(node->fdw_state)->rewind();
}

}  // namespace vectorshard::read
