// What stubs do where a heap would handle its files: there is one, and it stays empty. Index builds make empty indexes, which no plan
// uses. TRUNCATE is refused here, and whatever would make files outside a move.
#include "pg/bridge/guard.hpp"
#include "pg/tier/stub_am.hpp"
#include "pg/tier/stub_analyze.hpp"
#include "pg/tier/stub_rows.hpp"
extern "C" {
#include "access/heapam.h"
#include "access/multixact.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "nodes/execnodes.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

#if PG_VERSION_NUM >= 160000
using FileName = RelFileLocator;
#else
using FileName = RelFileNode;
#endif

/// Once for each new file: of a move, of VACUUM FULL, which copies nothing, of a rewrite, which is refused at its first row, and of TRUNCATE.
void set_new_file(Relation rel, const FileName *name, char persistence, TransactionId *freeze, MultiXactId *multi) {
  bridge::entry([&] {
    if (!IsBinaryUpgrade && stub_segment(RelationGetRelid(rel))) refuse_stub(rel, "truncate");
  });
  const TableAmRoutine *heap = GetHeapamTableAmRoutine();
#if PG_VERSION_NUM >= 160000
  heap->relation_set_new_filelocator(rel, name, persistence, freeze, multi);
#else
  heap->relation_set_new_filenode(rel, name, persistence, freeze, multi);
#endif
  // No transaction number is in it that would ever have to be frozen.
  *freeze = InvalidTransactionId;
  *multi = InvalidMultiXactId;
}

void nontransactional_truncate(Relation rel) {
  bridge::entry([&] { refuse_stub(rel, "truncate"); });
}

void copy_data(Relation rel, const FileName *name) { GetHeapamTableAmRoutine()->relation_copy_data(rel, name); }

void copy_for_cluster(Relation old_table, Relation, Relation, bool, TransactionId, TransactionId *freeze, MultiXactId *multi, double *rows,
                      double *removed, double *kept) {
  *freeze = InvalidTransactionId;
  *multi = InvalidMultiXactId;
  *rows = Max(old_table->rd_rel->reltuples, 0);
  *removed = *kept = 0;
}

void vacuum(Relation rel,
#if PG_VERSION_NUM >= 180000
            const VacuumParams,
#else
            VacuumParams *,
#endif
            BufferAccessStrategy) {
  // Else autovacuum comes again and again for what died in the heap before.
  auto rows = static_cast<PgStat_Counter>(Max(rel->rd_rel->reltuples, 0));
#if PG_VERSION_NUM >= 180000
  pgstat_report_vacuum(RelationGetRelid(rel), rel->rd_rel->relisshared, rows, 0, GetCurrentTimestamp());
#else
  pgstat_report_vacuum(RelationGetRelid(rel), rel->rd_rel->relisshared, rows, 0);
#endif
}

/// Nothing is indexed. What was unique in the heap still is, so an index that was there may be made anew; a new claim would go unproved.
double build_range(Relation rel, Relation index, IndexInfo *info, bool, bool, bool, BlockNumber, BlockNumber, IndexBuildCallback, void *,
                   TableScanDesc) {
  bool claims = info->ii_Unique || info->ii_ExclusionOps;
  bool fresh = index->rd_createSubid != InvalidSubTransactionId || info->ii_Concurrent;
  if (claims && fresh) bridge::entry([&] { refuse_stub(rel, "build a new unique index on"); });
  return Max(rel->rd_rel->reltuples, 0);
}

void validate_scan(Relation, Relation, IndexInfo *, Snapshot, ValidateIndexState *) {}

/// The pages that the heap had; the file has none.
BlockNumber heap_pages(Relation rel) {
  auto pages = static_cast<BlockNumber>(rel->rd_rel->relpages);
  return pages == 0 && rel->rd_rel->reltuples > 0 ? 1 : pages;
}

/// For ANALYZE.
uint64 size(Relation rel, ForkNumber fork) {
  if (fork != MAIN_FORKNUM && fork != InvalidForkNumber) return 0;
  return static_cast<uint64>(shown_blocks(rel, heap_pages(rel))) * BLCKSZ;
}

bool needs_toast_table(Relation) { return false; }

void estimate_size(Relation rel, int32 *, BlockNumber *pages, double *tuples, double *all_visible) {
  *pages = heap_pages(rel);
  *tuples = Max(rel->rd_rel->reltuples, 0);
  *all_visible = 0;
}

}  // namespace

void set_storage_callbacks(TableAmRoutine *am) {
#if PG_VERSION_NUM >= 160000
  am->relation_set_new_filelocator = set_new_file;
#else
  am->relation_set_new_filenode = set_new_file;
#endif
  am->relation_nontransactional_truncate = nontransactional_truncate;
  am->relation_copy_data = copy_data;
  am->relation_copy_for_cluster = copy_for_cluster;
  am->relation_vacuum = vacuum;
  am->index_build_range_scan = build_range;
  am->index_validate_scan = validate_scan;
  am->relation_size = size;
  am->relation_needs_toast_table = needs_toast_table;
  am->relation_estimate_size = estimate_size;
}

}  // namespace vectorshard::tier
