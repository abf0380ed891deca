// Changing rows through the foreign child: see modify.hpp.
#include "pg/read/modify.hpp"

#include "pg/read/options.hpp"

namespace vectorshard::read {

namespace {

[[noreturn]] void refuse(Relation relation, const char *what, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                  errmsg("cannot %s foreign table \"%s\"", what, RelationGetRelationName(relation)),
                  errhint("%s", hint)));
  pg_unreachable();
}

}  // namespace

void add_update_targets(PlannerInfo *, Index, RangeTblEntry *, Relation) {}
List *plan_modify(PlannerInfo *, ModifyTable *, Index, int) { return NIL; }
void begin_modify(ModifyTableState *, ResultRelInfo *, List *, int, int) {}
TupleTableSlot *exec_insert(EState *, ResultRelInfo *rel, TupleTableSlot *, TupleTableSlot *) {
  refuse(rel->ri_RelationDesc, "insert into", "Insert into the table itself.");
}
TupleTableSlot **exec_batch_insert(EState *, ResultRelInfo *rel, TupleTableSlot **, TupleTableSlot **, int *) {
  refuse(rel->ri_RelationDesc, "insert into", "Insert into the table itself.");
}
int batch_size(ResultRelInfo *) { return 1; }
TupleTableSlot *exec_update(EState *, ResultRelInfo *rel, TupleTableSlot *, TupleTableSlot *) {
  refuse(rel->ri_RelationDesc, "update", "");
}
TupleTableSlot *exec_delete(EState *, ResultRelInfo *rel, TupleTableSlot *, TupleTableSlot *) {
  refuse(rel->ri_RelationDesc, "delete from", "");
}
void end_modify(EState *, ResultRelInfo *) {}
void begin_insert(ModifyTableState *, ResultRelInfo *) {}
void end_insert(EState *, ResultRelInfo *) {}
void truncate(List *relations, DropBehavior, bool) {
  refuse(static_cast<Relation>(linitial(relations)), "truncate",
         "Delete the rows with DELETE, which reaches every node, or truncate ONLY the table itself.");
}
int updatable(Relation) { return (1 << CMD_INSERT) | (1 << CMD_UPDATE) | (1 << CMD_DELETE); }

}  // namespace vectorshard::read
