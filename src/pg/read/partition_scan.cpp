// Scans of partitions in a store: see partition_scan.hpp.
#include "pg/read/partition_scan.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/elsewhere.hpp"
#include "pg/read/partition_outputs.hpp"
#include "pg/read/partition_plan.hpp"
#include "pg/read/remote_conditions.hpp"
#include "pg/read/scan.hpp"
extern "C" {
#include "access/table.h"
#include "storage/predicate.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::read {

namespace {

// A part is one piece, some milliseconds of work, or a few: at most some tens.
constexpr int64_t kManyParts = 16;

[[noreturn]] void changed() {
  bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the table of these rows has changed", "", "Retry the statement.");
}

void add_outputs(const ScanPlan &plan, const tier::SegmentColumns &columns, List *values, tier::SegmentQuestion *q) {
  ListCell *lc;
  foreach (lc, plan.outputs) {
    std::optional<tier::SegmentOutput> o = segment_output(static_cast<Node *>(lfirst(lc)), columns, values);
    if (!o) changed();
    q->outputs.push_back(std::move(*o));
    q->places.push_back(static_cast<int>(q->places.size()));
  }
}

std::function<bool(int64_t *, int64_t *)> parts_of(int64_t rows, SharedParts *shared) {
  int64_t size = tier::kPieceRows * std::min<int64_t>(4, 1 + rows / tier::kPieceRows / kManyParts);
  return [rows, size, shared](int64_t *first, int64_t *end) {
    *first = static_cast<int64_t>(pg_atomic_fetch_add_u64(&shared->taken, 1)) * size;
    *end = *first + size;
    return *first < rows;
  };
}

}  // namespace

List *Parameters::values(List *expressions, PlanState *node) {
  return bridge::pg_call([&] { return evaluated(expressions, &states, node); });
}

tier::SegmentQuestion question_of(const ScanPlan &plan, List *values, SharedParts *shared) {
  tier::SegmentQuestion q;
  if (plan.role == Role::parquet)
    q.facts = std::make_shared<tier::SegmentFacts>(tier::foreign_facts(plan.table));
  else
    q.segment = tier::segment_of_table(plan.table);
  q.relid = plan.table;
  tier::SegmentColumns columns = plan.role == Role::parquet ? columns_in(plan.table, *q.facts) : segment_columns(plan.table, q.segment);
  ListCell *lc, *flags;
  foreach (lc, plan.conditions) {
    std::optional<tier::Condition> c = tier::condition_of(static_cast<Node *>(lfirst(lc)), columns, kFirstConditionParam, values);
    // Of rows the conditions are looked at again here; what is computed there must have them all.
    if (!c && (plan.outputs != NIL || plan.limit > 0)) changed();
    if (c) q.conditions.push_back(std::move(*c));
  }
  add_outputs(plan, columns, values, &q);
  foreach (lc, plan.columns) {
    q.outputs.push_back({tier::SegmentOutput::Kind::attribute, lfirst_int(lc), std::nullopt});
    q.places.push_back(plan.packed ? static_cast<int>(q.places.size()) : lfirst_int(lc) - 1);
  }
  forboth(lc, plan.order, flags, plan.order_flags)
    q.order.push_back({static_cast<Var *>(lfirst(lc))->varattno, (lfirst_int(flags) & kDescending) != 0, (lfirst_int(flags) & kNullsFirst) != 0});
  q.groups = plan.groups;
  q.distinct = plan.distinct;
  q.limit = plan.limit;
  if (shared) q.next_part = parts_of(tier::facts_of(q.segment).segment.rows, shared);
  return q;
}

void note_read(Relation stub, Snapshot snapshot) {
  if (!bridge::pg_call([&] { return tier::is_stub(RelationGetRelid(stub)); })) changed();
  if (snapshot && IsMVCCSnapshot(snapshot)) bridge::pg_call([&] { PredicateLockRelation(stub, snapshot); });
}

void note_read(const ScanPlan &plan, Snapshot snapshot) {
  Relation rel = bridge::pg_call([&] { return table_open(plan.table, NoLock); });
  if (rel->rd_rel->relkind == RELKIND_RELATION) note_read(rel, snapshot);
  bridge::pg_call([&] { table_close(rel, NoLock); });
}

void explain_segment(Oid table, const std::function<tier::SegmentQuestion()> &question, ExplainState *es) {
  std::string segment = tier::segment_of_table(table), text = es->verbose ? tier::question_text(question(), "segment") : "";
  const char *name = segment.c_str(), *asked = text.c_str();
  bridge::pg_call([&] {
    ExplainPropertyText("Segment", name, es);
    if (es->verbose) ExplainPropertyText("Segment Query", asked, es);
  });
}

void explain_reading(const char *label, int segments, int remembered, int64_t bytes, ExplainState *es) {
  bridge::pg_call([&] {
    ExplainPropertyInteger(label, nullptr, segments, es);
    if (remembered > 0) ExplainPropertyInteger("Lookups in Memory", nullptr, remembered, es);
    if (bytes > 0) ExplainPropertyInteger("Fetched", "bytes", bytes, es);
  });
}

Size estimate_parts(ForeignScanState *, ParallelContext *) { return sizeof(SharedParts); }

void initialize_parts(ForeignScanState *node, ParallelContext *, void *memory) {
  auto *shared = static_cast<SharedParts *>(memory);
  pg_atomic_init_u64(&shared->taken, 0);
  pg_atomic_init_u64(&shared->fetched, 0);
  scan_of(node)->share(shared);
}

void reinitialize_parts(ForeignScanState *, ParallelContext *, void *memory) {
  pg_atomic_write_u64(&static_cast<SharedParts *>(memory)->taken, 0);
}

void end_parts(ForeignScanState *node) {
  if (node->fdw_state) static_cast<ElsewhereScan *>(node->fdw_state)->end_sharing();
}

void join_parts(ForeignScanState *node, shm_toc *, void *memory) { scan_of(node)->share(static_cast<SharedParts *>(memory)); }

}  // namespace vectorshard::read
