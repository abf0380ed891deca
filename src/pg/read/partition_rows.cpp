// Scans of stubs with TIDs: see partition_rows.hpp.
#include "pg/read/partition_rows.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/partition_plan.hpp"
#include "pg/read/partition_scan.hpp"
extern "C" {
#include "access/tableam.h"
#include "commands/explain.h"
#include "executor/executor.h"
#include "nodes/extensible.h"
#include "optimizer/restrictinfo.h"
#include "utils/memutils.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

namespace {

constexpr char kName[] = "VectorshardRows";

/// What one execution has. Goes with the query's memory, after an error too; its own is below TopMemoryContext, so that it is there then.
struct Rows {
  MemoryContext context = nullptr;
  std::unique_ptr<tier::ColdScan> scan;
  int segments_read = 0, remembered = 0;
  int64_t bytes_fetched = 0;

  void end() {
    if (!scan) return;
    segments_read += scan->segments_read();
    remembered += scan->remembered();
    bytes_fetched += scan->bytes_fetched();
    scan.reset();
    MemoryContextReset(context);
  }
  ~Rows() {
    scan.reset();
    if (context) MemoryContextDelete(context);
  }
};

struct RowsState {
  CustomScanState css;
  ScanPlan plan;
  Parameters parameters;
  Rows *rows;
  MemoryContextCallback callback;
};

RowsState *state_of(CustomScanState *node) { return reinterpret_cast<RowsState *>(node); }
CustomScan *plan_of(CustomScanState *node) { return castNode(CustomScan, node->ss.ps.plan); }

tier::SegmentQuestion question(const ScanPlan &plan, List *values) {
  tier::SegmentQuestion q = question_of(plan, values, nullptr);
  q.outputs.push_back({tier::SegmentOutput::Kind::row, 0, std::nullopt});
  q.places.push_back(0);
  return q;
}

/// PostgreSQL gives such nodes plain virtual slots; the rows of EvalPlanQual come in those of the table.
void use_slots_of_table(CustomScanState *node, EState *estate) {
  Relation rel = node->ss.ss_currentRelation;
  ExecInitScanTupleSlot(estate, &node->ss, RelationGetDescr(rel), table_slot_callbacks(rel));
  ExecAssignScanProjectionInfo(&node->ss);
  node->ss.ps.qual = ExecInitQual(node->ss.ps.plan->qual, &node->ss.ps);
}

void begin(CustomScanState *node, EState *estate, int) {
  RowsState *state = state_of(node);
  state->plan = from_private(plan_of(node)->custom_private);
  use_slots_of_table(node, estate);
  bridge::entry([&] { state->rows = new Rows; });
  state->callback.func = [](void *rows) { delete static_cast<Rows *>(rows); };
  state->callback.arg = state->rows;
  MemoryContextRegisterResetCallback(estate->es_query_cxt, &state->callback);
}

void open(RowsState *state) {
  Rows *rows = state->rows;
  note_read(state->css.ss.ss_currentRelation, state->css.ss.ps.state->es_snapshot);
  List *values = state->parameters.values(plan_of(&state->css)->custom_exprs, &state->css.ss.ps);
  tier::SegmentQuestion q = question(state->plan, values);
  if (!rows->context)
    rows->context = bridge::pg_call([] { return AllocSetContextCreate(TopMemoryContext, "vectorshard rows of a stub", ALLOCSET_SMALL_SIZES); });
  MemoryContext before = MemoryContextSwitchTo(rows->context);
  rows->scan = tier::ask_segment(std::move(q));
  MemoryContextSwitchTo(before);
}

TupleTableSlot *next(ScanState *node) {
  auto *state = reinterpret_cast<RowsState *>(node);
  TupleTableSlot *slot = node->ss_ScanTupleSlot;
  MemoryContext before = MemoryContextSwitchTo(node->ps.ps_ExprContext->ecxt_per_tuple_memory);
  bool any = bridge::entry([&] {
    if (!state->rows->scan) open(state);
    return state->rows->scan->next(slot);
  });
  MemoryContextSwitchTo(before);
  slot->tts_tableOid = state->plan.table;
  return any ? slot : ExecClearTuple(slot);
}

/// All conditions are among those of the plan, which are looked at after this.
bool recheck(ScanState *, TupleTableSlot *) { return true; }

TupleTableSlot *run(CustomScanState *node) { return ExecScan(&node->ss, next, recheck); }

void end(CustomScanState *node) {
  bridge::entry([&] { state_of(node)->rows->end(); });
}

void rescan(CustomScanState *node) {
  end(node);
  ExecScanReScan(&node->ss);
}

void explain(CustomScanState *node, List *, ExplainState *es) {
  RowsState *state = state_of(node);
  bridge::entry([&] {
    explain_segment(state->plan.table, [&] { return question(state->plan, NIL); }, es);
    state->rows->end();
    if (es->analyze) explain_reading("Segments Read", state->rows->segments_read, state->rows->remembered, state->rows->bytes_fetched, es);
  });
}

const CustomExecMethods exec_methods = {
    .CustomName = kName, .BeginCustomScan = begin, .ExecCustomScan = run, .EndCustomScan = end, .ReScanCustomScan = rescan, .ExplainCustomScan = explain};

Node *create(CustomScan *) {
  auto *state = static_cast<RowsState *>(palloc0(sizeof(RowsState)));
  NodeSetTag(state, T_CustomScanState);
  state->css.methods = &exec_methods;
  return reinterpret_cast<Node *>(state);
}

const CustomScanMethods scan_methods = {kName, create};

Plan *make_plan(PlannerInfo *root, RelOptInfo *rel, CustomPath *path, List *tlist, List *clauses, List *) {
  return bridge::entry([&]() -> Plan * {
    auto *known = static_cast<const RelPlan *>(linitial(path->custom_private));
    ScanPlan plan;
    plan.role = Role::partition;
    plan.table = known->table;
    plan.columns = bridge::pg_call([&] { return needed_columns(rel, clauses, known->table, 0); });
    List *params = NIL;
    segment_conditions(root, rel, clauses, known->segment->columns, &plan, &params);
    return bridge::pg_call([&] {
      CustomScan *scan = makeNode(CustomScan);
      scan->scan.plan.targetlist = tlist;
      scan->scan.plan.qual = extract_actual_clauses(clauses, false);  // all of them, for EvalPlanQual
      scan->scan.scanrelid = rel->relid;
      scan->flags = path->flags;
      scan->custom_exprs = params;
      scan->custom_private = to_private(plan);
      scan->methods = &scan_methods;
      return &scan->scan.plan;
    });
  });
}

const CustomPathMethods path_methods = {kName, make_plan, nullptr};

}  // namespace

void set_up_rows(CustomPath *path, const RelPlan *known) {
  path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
  path->custom_private = list_make1(const_cast<RelPlan *>(known));
  path->methods = &path_methods;
}

void init_partition_rows() { RegisterCustomScanMethods(&scan_methods); }

}  // namespace vectorshard::read
