// The node that looks ahead: see look_ahead.hpp. Its state is a CustomScanState in the query's memory; what it has read lies in
// a context of its own.
#include "pg/read/look_ahead.hpp"

#include <map>

#include "pg/bridge/guard.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
}

namespace vectorshard::read {

namespace {

// Few rows at first: a query with a LIMIT may want no more.
constexpr int kFirstRows = 8, kGrowth = 4, kMostRows = 1024;

struct LookAhead {
  CustomScanState css;  // first: the executor knows no more of it
  PlanState *outer;
  ExprState *client;
  Oid client_type;
  int token;
  MemoryContext context;  // of the rows
  MinimalTuple rows[kMostRows];
  int count, at, wanted;
  bool ended;
};

using Key = std::pair<const EState *, int>;

std::map<Key, LookAhead *> &nodes() {
  static std::map<Key, LookAhead *> n;
  return n;
}

LookAhead *state_of(CustomScanState *node) { return reinterpret_cast<LookAhead *>(node); }

Node *create_state(CustomScan *) {
  auto *state = static_cast<LookAhead *>(palloc0(sizeof(LookAhead)));
  NodeSetTag(state, T_CustomScanState);
  state->css.methods = nullptr;
  return reinterpret_cast<Node *>(state);
}

struct Registered {
  MemoryContextCallback callback;
  const EState *estate;
  int token;
};

void forget(void *registered) {
  auto *r = static_cast<Registered *>(registered);
  nodes().erase({r->estate, r->token});
}

/// Found by the scan of rows elsewhere; forgotten with the query's memory, after an error too.
void make_known(LookAhead *state, EState *estate) {
  auto *r = static_cast<Registered *>(MemoryContextAlloc(estate->es_query_cxt, sizeof(Registered)));
  r->callback.func = forget;
  r->callback.arg = r;
  r->estate = estate;
  r->token = state->token;
  bridge::entry([&]() -> void { nodes()[{estate, state->token}] = state; });
  MemoryContextRegisterResetCallback(estate->es_query_cxt, &r->callback);
}

void begin(CustomScanState *node, EState *estate, int flags) {
  LookAhead *state = state_of(node);
  CustomScan *scan = castNode(CustomScan, node->ss.ps.plan);
  state->outer = ExecInitNode(linitial_node(Plan, scan->custom_plans), estate, flags);
  node->custom_ps = list_make1(state->outer);
  Expr *client = static_cast<Expr *>(linitial(scan->custom_exprs));
  state->client = ExecInitExpr(client, &node->ss.ps);
  state->client_type = getBaseType(exprType(reinterpret_cast<Node *>(client)));
  state->token = linitial_int(linitial_node(List, scan->custom_private));
  state->context = AllocSetContextCreate(estate->es_query_cxt, "vectorshard rows ahead", ALLOCSET_DEFAULT_SIZES);
  state->wanted = kFirstRows;
  make_known(state, estate);
}

void read_ahead(LookAhead *state) {
  MemoryContextReset(state->context);
  state->count = state->at = 0;
  while (!state->ended && state->count < state->wanted) {
    TupleTableSlot *slot = ExecProcNode(state->outer);
    if (TupIsNull(slot)) {
      state->ended = true;
      break;
    }
    MemoryContext old = MemoryContextSwitchTo(state->context);
    state->rows[state->count++] = ExecCopySlotMinimalTuple(slot);
    MemoryContextSwitchTo(old);
  }
  state->wanted = Min(state->wanted * kGrowth, kMostRows);
}

TupleTableSlot *next(ScanState *node) {
  LookAhead *state = state_of(reinterpret_cast<CustomScanState *>(node));
  if (state->at == state->count && !state->ended) read_ahead(state);
  TupleTableSlot *slot = node->ss_ScanTupleSlot;
  if (state->at == state->count) return ExecClearTuple(slot);
  ExecForceStoreMinimalTuple(state->rows[state->at++], slot, false);
  return slot;
}

bool recheck(ScanState *, TupleTableSlot *) { return true; }

TupleTableSlot *run(CustomScanState *node) { return ExecScan(&node->ss, next, recheck); }

void end(CustomScanState *node) { ExecEndNode(state_of(node)->outer); }

void rescan(CustomScanState *node) {
  LookAhead *state = state_of(node);
  if (node->ss.ps.chgParam) UpdateChangedParamSet(state->outer, node->ss.ps.chgParam);
  if (!state->outer->chgParam) ExecReScan(state->outer);
  MemoryContextReset(state->context);
  state->count = state->at = 0;
  state->wanted = kFirstRows;
  state->ended = false;
}

/// The text of each row's client. In the node's per-row memory.
std::vector<std::string> clients_of(LookAhead *state) {
  std::vector<std::string> out;
  ExprContext *context = state->css.ss.ps.ps_ExprContext;
  TupleTableSlot *present = context->ecxt_scantuple;
  TupleTableSlot *slot = bridge::pg_call([&] {
    return MakeSingleTupleTableSlot(state->css.ss.ss_ScanTupleSlot->tts_tupleDescriptor, state->css.ss.ss_ScanTupleSlot->tts_ops);
  });
  for (int i = state->at - 1; i < state->count; i++) {
    bool null;
    Datum value = bridge::pg_call([&] {
      ExecForceStoreMinimalTuple(state->rows[i], slot, false);
      context->ecxt_scantuple = slot;
      return ExecEvalExpr(state->client, context, &null);
    });
    if (!null) out.push_back(text_of(state->client_type, value));
  }
  context->ecxt_scantuple = present;
  bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
  return out;
}

const CustomExecMethods exec_methods = {
    .CustomName = kLookAheadName, .BeginCustomScan = begin, .ExecCustomScan = run, .EndCustomScan = end, .ReScanCustomScan = rescan};

Node *create(CustomScan *scan) {
  Node *node = create_state(scan);
  reinterpret_cast<CustomScanState *>(node)->methods = &exec_methods;
  return node;
}

const CustomScanMethods scan_methods = {kLookAheadName, create};

}  // namespace

const CustomScanMethods *look_ahead_methods() { return &scan_methods; }

std::vector<std::string> clients_ahead(EState *estate, int token) {
  if (token == 0) return {};
  auto it = nodes().find({estate, token});
  if (it == nodes().end() || it->second->at == 0) return {};
  return clients_of(it->second);
}

}  // namespace vectorshard::read
