// Plans over stubs use no index: the indexes are empty. Rows come from the access method's scans.
#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"
#include "pg/tier/stub_am.hpp"
extern "C" {
#include "nodes/pathnodes.h"
#include "optimizer/plancat.h"
#include "utils/rel.h"
}

namespace vectorshard::tier {

namespace {

get_relation_info_hook_type previous_info = nullptr;

void relation_info(PlannerInfo *root, Oid relid, bool inherits, RelOptInfo *rel) {
  if (previous_info) previous_info(root, relid, inherits, rel);
  // The planner holds the table open around this call, so this costs a look into a hash table.
  Relation table = RelationIdGetRelation(relid);
  if (!table) return;
  if (is_stub(table)) {
    rel->indexlist = NIL;
    // One process reads a segment; beside it others may read other partitions.
    rel->rel_parallel_workers = 0;
  }
  RelationClose(table);
}

}  // namespace

void init_stubs() {
  previous_info = get_relation_info_hook;
  get_relation_info_hook = relation_info;
  init_stub_statements();
}

}  // namespace vectorshard::tier
