// Changing rows through foreign tables: see modify.hpp. What a table stands for decides: forward.cpp for rows elsewhere,
// report_table.cpp for telemetry.
#include "pg/read/modify.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/forward.hpp"
#include "pg/read/options.hpp"
#include "pg/read/report_table.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "access/sysattr.h"
#include "executor/executor.h"
#include "optimizer/appendinfo.h"
#include "optimizer/inherit.h"
#include "optimizer/pathnode.h"
#include "parser/parsetree.h"
#include "utils/relcache.h"
}

namespace vectorshard::read {

namespace {

/// The state of one changed table in one statement, in ResultRelInfo.ri_FdwState.
struct Modify {
  Role role = Role::elsewhere;
  ModifyTableState *state = nullptr;
  List *targets = NIL;          // columns that an UPDATE sets (IntList)
  Forward *forward = nullptr;   // made when the first row is changed
  ReportColumns reports;
};

[[noreturn]] void refuse(Relation relation, const char *what, const char *detail, const char *hint) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED,
                         std::string("cannot ") + what + " foreign table \"" + RelationGetRelationName(relation) + "\"", detail,
                         hint);
}

[[noreturn]] void refuse_for(Relation relation, Role role, CmdType command) {
  const char *what = command == CMD_INSERT ? "insert into" : command == CMD_UPDATE ? "update" : "delete from";
  if (role == Role::parquet) refuse(relation, what, "Its rows are in Parquet files of a store.", "Copy them into a table of your own.");
  if (role == Role::telemetry)
    refuse(relation, what, "Reports become the motion of their clients; they are not kept.", "Insert reports into it.");
  refuse(relation, what, "It stands for rows that are on other nodes or in a store.",
         "Insert into the table itself: the client's rows are brought here first.");
}

/// Whether such a statement may be planned.
bool allowed(Role role, CmdType command) {
  if (role == Role::parquet) return false;
  return role == Role::telemetry ? command == CMD_INSERT : command == CMD_UPDATE || command == CMD_DELETE;
}

Modify *make_modify(ResultRelInfo *rel, Role role) {
  return bridge::pg_call([&] {
    Modify *m = static_cast<Modify *>(palloc0(sizeof(Modify)));
    m->role = role;
    if (role == Role::telemetry) m->reports = report_columns(rel->ri_RelationDesc);
    rel->ri_FdwState = m;
    return m;
  });
}

/// Made once a statement, in the query's memory; it goes with that memory, after an error too.
Forward &forward_of(EState *estate, ResultRelInfo *rel) {
  Modify *m = static_cast<Modify *>(rel->ri_FdwState);
  if (m->forward) return *m->forward;
  std::vector<AttrNumber> targets;
  ListCell *lc;
  foreach (lc, m->targets) targets.push_back(static_cast<AttrNumber>(lfirst_int(lc)));
  MemoryContext old = MemoryContextSwitchTo(estate->es_query_cxt);
  auto made = std::make_unique<Forward>(m->state, rel, targets);
  bridge::pg_call([&] {
    auto *callback = static_cast<MemoryContextCallback *>(palloc(sizeof(MemoryContextCallback)));
    callback->func = [](void *forward) { delete static_cast<Forward *>(forward); };
    callback->arg = made.get();
    MemoryContextRegisterResetCallback(estate->es_query_cxt, callback);
  });
  m->forward = made.release();
  MemoryContextSwitchTo(old);
  return *m->forward;
}

/// Columns that an UPDATE sets, without generated ones: those follow at the home.
List *updated_columns(PlannerInfo *root, Index result_relation, Relation relation) {
  Bitmapset *all = get_rel_all_updated_cols(root, find_base_rel(root, static_cast<int>(result_relation)));
  List *out = NIL;
  for (int c = -1; (c = bms_next_member(all, c)) >= 0;) {
    AttrNumber a = static_cast<AttrNumber>(c + FirstLowInvalidHeapAttributeNumber);
    if (a > 0 && !TupleDescAttr(RelationGetDescr(relation), a - 1)->attgenerated) out = lappend_int(out, a);
  }
  return out;
}

TupleTableSlot *take_report(ResultRelInfo *rel, TupleTableSlot *slot) {
  Modify *m = static_cast<Modify *>(rel->ri_FdwState);
  if (!m || m->role != Role::telemetry) refuse_for(rel->ri_RelationDesc, role_of(RelationGetRelid(rel->ri_RelationDesc)), CMD_INSERT);
  return take_row(m->reports, slot) ? slot : nullptr;
}

}  // namespace

void add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *, Relation relation) {
  if (role_of(RelationGetRelid(relation)) == Role::elsewhere) add_key_targets(root, rtindex, relation);
}

List *plan_modify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int) {
  Oid table = planner_rt_fetch(result_relation, root)->relid;
  Role role = role_of(table);
  Relation relation = bridge::pg_call([&] { return RelationIdGetRelation(table); });
  if (!allowed(role, plan->operation)) refuse_for(relation, role, plan->operation);
  List *targets = bridge::pg_call([&] {
    List *columns = plan->operation == CMD_UPDATE ? updated_columns(root, result_relation, relation) : NIL;
    RelationClose(relation);
    return columns;
  });
  return bridge::pg_call([&] { return list_make2(list_make1_int(static_cast<int>(role)), targets); });
}

void begin_modify(ModifyTableState *state, ResultRelInfo *rel, List *fdw_private, int, int eflags) {
  if (eflags & EXEC_FLAG_EXPLAIN_ONLY) return;
  Modify *m = make_modify(rel, static_cast<Role>(linitial_int(static_cast<List *>(linitial(fdw_private)))));
  m->state = state;
  m->targets = static_cast<List *>(lsecond(fdw_private));
}

TupleTableSlot *exec_insert(EState *, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *) {
  return take_report(rel, slot);
}

TupleTableSlot *exec_update(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *plan_slot) {
  return forward_of(estate, rel).update(estate, slot, plan_slot) ? slot : nullptr;
}

TupleTableSlot *exec_delete(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *plan_slot) {
  return forward_of(estate, rel).remove(estate, slot, plan_slot) ? slot : nullptr;
}

void end_modify(EState *, ResultRelInfo *rel) {
  Modify *m = static_cast<Modify *>(rel->ri_FdwState);
  if (m && m->role == Role::telemetry) telemetry::flush_reports();
}

void begin_insert(ModifyTableState *, ResultRelInfo *rel) {
  Role role = role_of(RelationGetRelid(rel->ri_RelationDesc));
  if (!allowed(role, CMD_INSERT)) refuse_for(rel->ri_RelationDesc, role, CMD_INSERT);
  make_modify(rel, role);
}

void end_insert(EState *estate, ResultRelInfo *rel) { end_modify(estate, rel); }

void truncate(List *relations, DropBehavior, bool) {
  Relation relation = static_cast<Relation>(linitial(relations));
  refuse(relation, "truncate", "It stands for rows that are not in this database.",
         "Delete the rows of the table with DELETE, which reaches every node.");
}

// All of it: what a table does not take is refused by the callbacks, which say what to do instead.
int updatable(Relation) { return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE); }

}  // namespace vectorshard::read
