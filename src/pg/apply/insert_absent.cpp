// Inserting many rows at once: see insert_absent.hpp. What COPY does: one WAL record a page, then the indexes. PostgreSQL
// code within pg_call: no C++ object with a destructor is made here.
#include "pg/apply/insert_absent.hpp"

#include "pg/apply/scopes.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/rel.h"
}

namespace vectorshard::apply {

namespace {

constexpr int kSlots = 500;
// After so many large batches of a table that were all new, the next is not looked up first: a unique violation tells as
// well, for the price of that batch. Once one has told, looking up pays again for a while.
constexpr int kTrustedAfter = 4, kAfterViolation = -16;
constexpr size_t kLargeRows = 200;

/// Large batches in a row that were all new, of each table.
int &trust_in(Oid relid) {
  static std::unordered_map<Oid, int> trust;
  return trust[relid];
}

bool fires_in_role_replica(const TriggerDesc *triggers) {
  for (int i = 0; triggers && i < triggers->numtriggers; i++) {
    char enabled = triggers->triggers[i].tgenabled;
    if (enabled == TRIGGER_FIRES_ALWAYS || enabled == TRIGGER_FIRES_ON_REPLICA) return true;
  }
  return false;
}

bool needs_a_statement(Relation rel, Oid owner) {
  const TupleConstr *constraints = RelationGetDescr(rel)->constr;
  return rel->rd_rel->relispartition || rel->rd_rel->relforcerowsecurity || rel->rd_rules ||
         (constraints && constraints->has_generated_stored) || fires_in_role_replica(rel->trigdesc) ||
         pg_class_aclcheck(RelationGetRelid(rel), owner, ACL_INSERT) != ACLCHECK_OK;
}

/// An insert under way. Everything lies in the executor state's memory.
struct Insert {
  Relation rel;
  EState *state;
  ResultRelInfo *target;
  List *key;
  TupleTableSlot *slots[kSlots];
  int made;
};

void open(Insert &in) {
  in.state = CreateExecutorState();
  MemoryContext before = MemoryContextSwitchTo(in.state->es_query_cxt);
  RangeTblEntry *rte = makeNode(RangeTblEntry);
  rte->rtekind = RTE_RELATION;
  rte->relid = RelationGetRelid(in.rel);
  rte->relkind = in.rel->rd_rel->relkind;
  rte->rellockmode = RowExclusiveLock;
  ExecInitRangeTable(in.state, list_make1(rte));
  in.target = makeNode(ResultRelInfo);
  InitResultRelInfo(in.target, in.rel, 1, nullptr, 0);
  in.state->es_output_cid = GetCurrentCommandId(true);
  ExecOpenIndices(in.target, true);
  in.key = list_make1_oid(RelationGetPrimaryKeyIndex(in.rel));
  in.made = 0;
  MemoryContextSwitchTo(before);
}

void close(Insert &in) {
  for (int i = 0; i < in.made; i++) ExecDropSingleTupleTableSlot(in.slots[i]);
  ExecCloseIndices(in.target);
  FreeExecutorState(in.state);
}

/// The i-th slot, holding the row.
TupleTableSlot *fill(Insert &in, int i, const bridge::EnrolledColumn *columns, size_t count, const Datum *values,
                     const bool *nulls) {
  if (i == in.made) {
    MemoryContext before = MemoryContextSwitchTo(in.state->es_query_cxt);
    in.slots[in.made++] = table_slot_create(in.rel, nullptr);
    MemoryContextSwitchTo(before);
  }
  TupleTableSlot *slot = in.slots[i];
  ExecClearTuple(slot);
  memset(slot->tts_isnull, true, sizeof(bool) * static_cast<size_t>(slot->tts_tupleDescriptor->natts));
  for (size_t c = 0; c < count; c++) {
    slot->tts_values[columns[c].attnum - 1] = values[c];
    slot->tts_isnull[columns[c].attnum - 1] = nulls[c];
  }
  return ExecStoreVirtualTuple(slot);
}

void write(Insert &in, int count) {
  for (int i = 0; i < count; i++) {
    if (in.rel->rd_att->constr) ExecConstraints(in.target, in.slots[i], in.state);
    ResetPerTupleExprContext(in.state);
  }
  table_multi_insert(in.rel, in.slots, count, in.state->es_output_cid, 0, nullptr);
  for (int i = 0; i < count; i++) {
    ExecInsertIndexTuples(in.target, in.slots[i], in.state, false, false, nullptr, NIL);
    ResetPerTupleExprContext(in.state);
  }
}

/// False if nothing was done. `look`: whether any key is here is looked up first.
bool insert(const Group &g, const std::vector<Datum *> &values, const std::vector<bool *> &nulls, bool look) {
  const bridge::EnrolledColumn *columns = g.table.columns.data();
  size_t column_count = g.table.columns.size(), rows = values.size();
  return bridge::pg_call([&] {
    Insert in;
    in.rel = table_open(g.table.relid, RowExclusiveLock);
    if (needs_a_statement(in.rel, g.table.owner)) {
      table_close(in.rel, NoLock);
      return false;
    }
    open(in);
    bool absent = true;
    ItemPointerData conflict;
    for (size_t r = 0; look && r < rows && absent; r++) {
      TupleTableSlot *slot = fill(in, 0, columns, column_count, values[r], nulls[r]);
      absent = ExecCheckIndexConstraints(in.target, slot, in.state, &conflict, in.key);
      ResetPerTupleExprContext(in.state);
    }
    for (size_t r = 0; r < rows && absent;) {
      int n = 0;
      for (; n < kSlots && r < rows; n++, r++) (void)fill(in, n, columns, column_count, values[r], nulls[r]);
      write(in, n);
    }
    close(in);
    table_close(in.rel, NoLock);
    if (absent) CommandCounterIncrement();
    return absent;
  });
}

}  // namespace

bool insert_absent(const Group &g, const std::vector<Datum *> &values, const std::vector<bool *> &nulls) {
  UserScope owner(g.table.owner, true);
  bridge::RoleScope role(SESSION_REPLICATION_ROLE_REPLICA);
  bridge::HiddenScope hidden;
  int &trust = trust_in(g.table.relid);
  bool large = values.size() >= kLargeRows, look = !large || trust < kTrustedAfter;
  try {
    bool inserted = insert(g, values, nulls, look);
    if (!inserted) trust = std::min(trust, 0);
    if (inserted && large && look) trust++;
    return inserted;
  } catch (const bridge::PgError &e) {
    if (e.sqlstate == ERRCODE_UNIQUE_VIOLATION) trust = kAfterViolation;
    throw;
  }
}

}  // namespace vectorshard::apply
