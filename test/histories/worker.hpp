// A worker: one connection to one server, through its Unix socket, so that no cut link is between. It runs its list of operations at
// the planned times (late ones at once) and logs what was acknowledged. A lost connection is made anew; the operation is over.
#pragma once
#include <atomic>
#include <chrono>
#include <string>

#include "plan.hpp"
#include "record.hpp"

namespace vectorshard::histories {

struct WorkerContext {
  const Plan *plan;
  Log *log;
  std::chrono::steady_clock::time_point start;
  const std::atomic<bool> *stop;
  bool counters;  // the tally table is there
};

/// Returns when all operations are done. Never throws.
void run_worker(const WorkerContext &context, int worker, const std::string &conninfo);

}  // namespace vectorshard::histories
