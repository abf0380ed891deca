// The handler of vectorshard_fdw: the table of callbacks, each guarded so that a C++ exception leaves as an error.
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/read/import.hpp"
#include "pg/read/modify.hpp"
#include "pg/read/options.hpp"
#include "pg/read/partition_scan.hpp"
#include "pg/read/plan.hpp"
#include "pg/read/scan.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "commands/vacuum.h"
#include "foreign/fdwapi.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

namespace {

/// Wraps a callback in bridge::entry, keeping its C signature.
template <auto F>
struct Guard;
template <class R, class... A, R (*F)(A...)>
struct Guard<F> {
  static R call(A... args) {
    return bridge::entry([&]() -> R { return F(args...); });
  }
};

// ANALYZE of the parent samples its children too: none of these rows are here, and no node is asked for them.
int acquire_no_sample(Relation, int, HeapTuple *, int, double *total_rows, double *dead_rows) {
  *total_rows = *dead_rows = 0;
  return 0;
}

bool analyze(Relation rel, AcquireSampleRowsFunc *function, BlockNumber *pages) {
  if (bridge::pg_call([&] { return role_of(RelationGetRelid(rel)); }) == Role::parquet) {
    *function = Guard<tier::sample_foreign_files>::call;
    *pages = tier::foreign_pages(rel);
    return true;
  }
  *function = acquire_no_sample;
  *pages = 1;
  return true;
}

// A worker looks residency up under the leader's snapshot and asks other nodes on links of its own. What it must not
// do is miss the leader's open remote transactions: see the executor hook in api.hpp.
bool parallel_safe(PlannerInfo *, RelOptInfo *, RangeTblEntry *) { return true; }

// All conditions are rechecked by the scan itself. A scan of no one table is never of rows to be rechecked: who runs it then, in a part of
// the query that is evaluated anew, wants its next row.
bool recheck(ForeignScanState *node, TupleTableSlot *slot) {
  if (castNode(ForeignScan, node->ss.ps.plan)->scan.scanrelid != 0) return true;
  return !TupIsNull(iterate_scan(node));
}

}  // namespace

bool is_our_wrapper(const FdwRoutine *routine) { return routine->GetForeignRelSize == Guard<get_rel_size>::call; }

VECTORSHARD_FUNCTION(vectorshard_fdw_handler) {
  FdwRoutine *f = makeNode(FdwRoutine);
  f->GetForeignRelSize = Guard<get_rel_size>::call;
  f->GetForeignPaths = Guard<get_paths>::call;
  f->GetForeignPlan = Guard<get_plan>::call;
  f->BeginForeignScan = Guard<begin_scan>::call;
  f->IterateForeignScan = Guard<iterate_scan>::call;
  f->ReScanForeignScan = Guard<rescan>::call;
  f->EndForeignScan = Guard<end_scan>::call;
  f->RecheckForeignScan = Guard<recheck>::call;
  f->IsForeignScanParallelSafe = parallel_safe;
  f->EstimateDSMForeignScan = Guard<estimate_parts>::call;
  f->InitializeDSMForeignScan = Guard<initialize_parts>::call;
  f->ReInitializeDSMForeignScan = Guard<reinitialize_parts>::call;
  f->ShutdownForeignScan = Guard<end_parts>::call;
  f->InitializeWorkerForeignScan = Guard<join_parts>::call;
  f->AddForeignUpdateTargets = Guard<add_update_targets>::call;
  f->PlanForeignModify = Guard<plan_modify>::call;
  f->BeginForeignModify = Guard<begin_modify>::call;
  f->ExecForeignInsert = Guard<exec_insert>::call;
  f->ExecForeignUpdate = Guard<exec_update>::call;
  f->ExecForeignDelete = Guard<exec_delete>::call;
  f->EndForeignModify = Guard<end_modify>::call;
  f->BeginForeignInsert = Guard<begin_insert>::call;
  f->EndForeignInsert = Guard<end_insert>::call;
  f->ExecForeignTruncate = Guard<truncate>::call;
  f->IsForeignRelUpdatable = updatable;
  f->ExplainForeignScan = Guard<explain_scan>::call;
  f->AnalyzeForeignTable = Guard<analyze>::call;
  f->ImportForeignSchema = Guard<import_schema>::call;
  PG_RETURN_POINTER(f);
}

}  // namespace vectorshard::read
