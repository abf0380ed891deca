// Inserting into tables of consistency home: see home_insert.hpp. The version trigger comes last of the BEFORE triggers and right before the
// executor looks whether the table is a foreign one: for a row that belongs elsewhere it is made one, until the row is written.
#include "pg/read/home_insert.hpp"

#include <algorithm>

#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/read/held.hpp"
#include "pg/read/home_row.hpp"
#include "pg/read/home_tables.hpp"
extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "executor/executor.h"
#include "foreign/fdwapi.h"
#include "tcop/utility.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

namespace {

ExecutorStart_hook_type previous_start = nullptr;
ProcessUtility_hook_type previous_utility = nullptr;

/// A home table that some execution under way may insert into, or any while clients are changed at their homes.
struct Target {
  ResultRelInfo *rel;
  EState *estate;
  const ModifyTable *plan;
  bool after_row;  // whether it has AFTER INSERT triggers
  NodeId home = kNoNode;  // of the row that the trigger has just let pass
  std::unique_ptr<HomeRow> row;
};

std::vector<std::unique_ptr<Target>> &targets() {
  static std::vector<std::unique_ptr<Target>> t;
  return t;
}

Target *target_of(const Trigger *trigger) {
  auto &all = targets();
  for (auto it = all.rbegin(); it != all.rend(); ++it) {
    const TriggerDesc *d = (*it)->rel->ri_TrigDesc;
    if (d && std::less_equal<>()(d->triggers, trigger) && std::less<>()(trigger, d->triggers + d->numtriggers)) return it->get();
  }
  return nullptr;
}

/// The COPY FROM under way, and how many of its rows went elsewhere: those the server does not count.
struct Copy {
  Oid table = InvalidOid;
  uint64 forwarded = 0;
};
Copy copy;

/// The node that writes a row of this client, or none: it is to be born here.
NodeId node_for(const std::string &client) {
  NodeId home = home_of(client);
  if (home == kNoNode) home = birthplace(client);
  if (home == bridge::self_node()) return kNoNode;
  keep_asking(client, home);
  return home;
}

TupleTableSlot *insert_row(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot) {
  auto &all = targets();
  auto it = std::find_if(all.rbegin(), all.rend(), [&](auto &t) { return t->rel == rel; });
  Target &t = **it;
  rel->ri_FdwRoutine = nullptr;
  if (rel->ri_WithCheckOptions != NIL) bridge::pg_call([&] { ExecWithCheckOptions(WCO_RLS_INSERT_CHECK, rel, slot, estate); });
  if (!t.row) {
    MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
    t.row = std::make_unique<HomeRow>(rel->ri_RelationDesc);
    MemoryContextSwitchTo(old);
  }
  OnConflictAction action = t.plan ? t.plan->onConflictAction : ONCONFLICT_NONE;
  MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(estate));
  bool written = action == ONCONFLICT_UPDATE ? t.row->insert_or_update(t.home, slot, rel, estate, t.plan->onConflictCols)
                                             : t.row->insert(t.home, slot, action == ONCONFLICT_NOTHING);
  MemoryContextSwitchTo(old);
  return written ? slot : nullptr;
}

TupleTableSlot *exec_home_insert(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *) {
  return bridge::entry([&]() -> TupleTableSlot * { return insert_row(estate, rel, slot); });
}

FdwRoutine *routine() {
  static FdwRoutine r;
  r.type = T_FdwRoutine;
  r.ExecForeignInsert = exec_home_insert;
  return &r;
}

/// COPY does not tell the trigger who runs it: the row is written now, and the server told to leave it out.
void copy_row(NodeId home, const TriggerData *t) {
  HomeRow row(t->tg_relation);
  TupleTableSlot *slot = bridge::pg_call([&] {
    TupleTableSlot *s = MakeSingleTupleTableSlot(RelationGetDescr(t->tg_relation), &TTSOpsHeapTuple);
    return ExecStoreHeapTuple(t->tg_trigtuple, s, false);
  });
  (void)row.insert(home, slot, false);
  bridge::pg_call([&] { ExecDropSingleTupleTableSlot(slot); });
  copy.forwarded++;
}

apply::Routed route(const apply::Inserted &inserted) {
  const TriggerData *t = inserted.trigger;
  Target *target = target_of(t->tg_trigger);
  if (target) {  // as it was before the row that came last, which a trigger behind this one may have left out
    target->rel->ri_TrigDesc->trig_insert_after_row = target->after_row;
    target->rel->ri_FdwRoutine = nullptr;
  }
  if (inserted.at_home) require_not_asked(inserted.client);
  NodeId home = inserted.at_home ? kNoNode : node_for(inserted.client);
  if (home == kNoNode) return apply::Routed::here;
  if (target) {
    target->home = home;
    target->rel->ri_FdwRoutine = routine();
    target->rel->ri_TrigDesc->trig_insert_after_row = false;
    return apply::Routed::by_executor;
  }
  if (copy.table != RelationGetRelid(t->tg_relation))
    bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED,
                           std::string("rows of \"") + RelationGetRelationName(t->tg_relation) + "\" are written at the home of their client",
                           "Client \"" + inserted.client + "\" has its home on another node.", "Use INSERT or COPY.");
  copy_row(home, t);
  return apply::Routed::done;
}

const ModifyTable *inserts_into(Plan *plan, Index relation) {
  if (!plan || !IsA(plan, ModifyTable)) return nullptr;
  const ModifyTable *m = castNode(ModifyTable, plan);
  return m->operation == CMD_INSERT && list_member_int(m->resultRelations, static_cast<int>(relation)) ? m : nullptr;
}

const ModifyTable *plan_of(const PlannedStmt *statement, Index relation) {
  const ModifyTable *found = inserts_into(statement->planTree, relation);
  ListCell *lc;
  foreach (lc, statement->subplans)
    if (!found) found = inserts_into(static_cast<Plan *>(lfirst(lc)), relation);
  return found;
}

/// A row that another node gives to this one as the home has passed that node's BEFORE triggers.
void leave_out_triggers(TriggerDesc *d) {
  int kept = 0;
  for (int i = 0; i < d->numtriggers; i++) {
    const Trigger &t = d->triggers[i];
    bool before = TRIGGER_TYPE_MATCHES(t.tgtype, TRIGGER_TYPE_ROW, TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_INSERT);
    if (!before || strcmp(t.tgname, "zz_vectorshard_before") == 0) d->triggers[kept++] = t;
  }
  d->numtriggers = kept;
}

void forget(void *estate) {
  std::erase_if(targets(), [&](auto &t) { return t->estate == estate; });
}

void watch(QueryDesc *query) {
  bool any = false;
  ListCell *lc;
  foreach (lc, query->estate->es_opened_result_relations) {
    ResultRelInfo *rel = static_cast<ResultRelInfo *>(lfirst(lc));
    if (!rel->ri_TrigDesc || !rel->ri_TrigDesc->trig_insert_before_row || rel->ri_RelationDesc->rd_rel->relkind != RELKIND_RELATION) continue;
    const ModifyTable *plan = plan_of(query->plannedstmt, rel->ri_RangeTableIndex);
    bool from_peer = bridge::guc::read_scope == bridge::guc::kReadHome;
    if (!plan || !(from_peer || is_held_elsewhere(nullptr) || is_home_table(RelationGetRelid(rel->ri_RelationDesc)))) continue;
    if (from_peer) leave_out_triggers(rel->ri_TrigDesc);
    targets().push_back(std::make_unique<Target>(Target{rel, query->estate, plan, rel->ri_TrigDesc->trig_insert_after_row, kNoNode, nullptr}));
    any = true;
  }
  if (!any) return;
  bridge::pg_call([&] {
    auto *callback = static_cast<MemoryContextCallback *>(MemoryContextAlloc(query->estate->es_query_cxt, sizeof(MemoryContextCallback)));
    callback->func = forget;
    callback->arg = query->estate;
    MemoryContextRegisterResetCallback(query->estate->es_query_cxt, callback);
  });
}

void start(QueryDesc *query, int flags) {
  if (previous_start)
    previous_start(query, flags);
  else
    standard_ExecutorStart(query, flags);
  if (query->estate->es_opened_result_relations != NIL && !(flags & EXEC_FLAG_EXPLAIN_ONLY) && bridge::shared())
    bridge::entry([&]() -> void { watch(query); });
}

void utility(PlannedStmt *statement, const char *text, bool read_only, ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *env,
             DestReceiver *dest, QueryCompletion *done) {
  auto run = [&] {
    if (previous_utility)
      previous_utility(statement, text, read_only, context, params, env, dest, done);
    else
      standard_ProcessUtility(statement, text, read_only, context, params, env, dest, done);
  };
  const CopyStmt *s = IsA(statement->utilityStmt, CopyStmt) ? castNode(CopyStmt, statement->utilityStmt) : nullptr;
  if (!s || !s->is_from || !s->relation) return run();
  Copy outer = copy;
  PG_TRY();
  {
    copy = {RangeVarGetRelid(s->relation, NoLock, true), 0};
    run();
    if (done && done->commandTag == CMDTAG_COPY) done->nprocessed += copy.forwarded;
  }
  PG_FINALLY();
  { copy = outer; }
  PG_END_TRY();
}

}  // namespace

void init_home_inserts() {
  previous_start = ExecutorStart_hook;
  ExecutorStart_hook = start;
  previous_utility = ProcessUtility_hook;
  ProcessUtility_hook = utility;
  apply::set_insert_router(route);
  apply::set_held_elsewhere(is_held_elsewhere);
}

}  // namespace vectorshard::read
