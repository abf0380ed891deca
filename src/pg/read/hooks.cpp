// The executor hook of read: see api.hpp. It must cost nothing where no other node was written.
#include "pg/bridge/guard.hpp"
#include "pg/read/api.hpp"
#include "pg/read/session.hpp"
extern "C" {
#include "executor/executor.h"
}

namespace vectorshard::read {

namespace {

ExecutorRun_hook_type previous = nullptr;

void run_executor(QueryDesc *query, ScanDirection direction, uint64 count, bool once) {
  // A query that may run more than once never runs in parallel.
  if (query->plannedstmt->parallelModeNeeded && once && wrote_elsewhere()) once = false;
  if (previous)
    previous(query, direction, count, once);
  else
    standard_ExecutorRun(query, direction, count, once);
}

}  // namespace

void init() {
  previous = ExecutorRun_hook;
  ExecutorRun_hook = run_executor;
}

}  // namespace vectorshard::read
