// Callbacks of vectorshard_fdw that change rows: UPDATE and DELETE of rows that are elsewhere run at the client's
// home; everything else is refused with a hint when a row is really hit.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

void add_update_targets(PlannerInfo *root, Index rtindex, RangeTblEntry *target, Relation relation);
List *plan_modify(PlannerInfo *root, ModifyTable *plan, Index result_relation, int subplan);
void begin_modify(ModifyTableState *state, ResultRelInfo *rel, List *fdw_private, int subplan, int eflags);
TupleTableSlot *exec_insert(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *plan_slot);
TupleTableSlot *exec_update(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *plan_slot);
TupleTableSlot *exec_delete(EState *estate, ResultRelInfo *rel, TupleTableSlot *slot, TupleTableSlot *plan_slot);
void end_modify(EState *estate, ResultRelInfo *rel);
void begin_insert(ModifyTableState *state, ResultRelInfo *rel);
void end_insert(EState *estate, ResultRelInfo *rel);
void truncate(List *relations, DropBehavior behavior, bool restart_sequences);
int updatable(Relation relation);

}  // namespace vectorshard::read
