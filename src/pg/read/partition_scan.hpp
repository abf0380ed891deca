// Running what was planned for a partition in a store: the question to its segment, and the workers that share its rows.
#pragma once
#include <functional>
#include <memory>

#include "pg/read/private.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "nodes/execnodes.h"
#include "port/atomics.h"
}

namespace vectorshard::read {

/// In the memory that a parallel scan shares: how many parts of the rows have been taken, and what that cost.
struct SharedParts {
  pg_atomic_uint64 taken;
  pg_atomic_uint64 fetched;  // bytes, by all processes
};

/// The question of the plan, with the present values of its parameters; `shared`: null, or whence parts of the rows are taken.
tier::SegmentQuestion question_of(const ScanPlan &plan, List *expressions, ForeignScanState *node, SharedParts *shared);

// Callbacks of a parallel scan.
Size estimate_parts(ForeignScanState *node, ParallelContext *context);
void initialize_parts(ForeignScanState *node, ParallelContext *context, void *memory);
void reinitialize_parts(ForeignScanState *node, ParallelContext *context, void *memory);
void end_parts(ForeignScanState *node);
void join_parts(ForeignScanState *node, shm_toc *toc, void *memory);

}  // namespace vectorshard::read
