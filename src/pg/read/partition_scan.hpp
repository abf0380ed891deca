// Running what was planned for a partition in a store: the question to its segment, and the workers that share its rows.
#pragma once
#include <functional>
#include <memory>

#include "pg/read/private.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "commands/explain.h"
#include "nodes/execnodes.h"
#include "port/atomics.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
}

namespace vectorshard::read {

/// In the memory that a parallel scan shares: how many parts of the rows have been taken, and what that cost.
struct SharedParts {
  pg_atomic_uint64 taken;
  pg_atomic_uint64 fetched;  // bytes, by all processes
};

/// What the parameters of a scan's conditions come from; what evaluates it is made once. Plain data.
struct Parameters {
  List *states;
  /// The present values (Consts), in the present memory context.
  List *values(List *expressions, PlanState *node);
};

/// The question of the plan, with the values of its parameters; `shared`: null, or whence parts of the rows are taken.
tier::SegmentQuestion question_of(const ScanPlan &plan, List *values, SharedParts *shared);

/// Serializable transactions are told that all of a stub is read: its rows cannot change now, but can when they are back in the heap, while such a
/// transaction still counts.
void note_read(Relation stub, Snapshot snapshot);
void note_read(const ScanPlan &plan, Snapshot snapshot);

/// What EXPLAIN says: the segment, with VERBOSE what it is asked; and what that took, with lookups that needed no file.
void explain_segment(Oid table, const std::function<tier::SegmentQuestion()> &question, ExplainState *es);
void explain_reading(const char *label, int segments, int remembered, int64_t bytes, ExplainState *es);

// Callbacks of a parallel scan.
Size estimate_parts(ForeignScanState *node, ParallelContext *context);
void initialize_parts(ForeignScanState *node, ParallelContext *context, void *memory);
void reinitialize_parts(ForeignScanState *node, ParallelContext *context, void *memory);
void end_parts(ForeignScanState *node);
void join_parts(ForeignScanState *node, shm_toc *toc, void *memory);

}  // namespace vectorshard::read
