// A vector-shard table in a query: see family.hpp.
#include "pg/read/family.hpp"

#include "pg/bridge/tables.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "optimizer/pathnode.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
}

namespace vectorshard::read {

namespace {

/// RelOptInfo.fdw_private of a relation of parts.
struct Parts {
  List *plan;     // a ScanPlan
  List *params;
  PathTarget *columns;
};

Path *cold_path(PlannerInfo *root, const Family &f) {
  return reinterpret_cast<Path *>(create_foreignscan_path(root, f.elsewhere, nullptr, 1, kStartup, kNamed, NIL, nullptr, nullptr,
                                                          list_make1_int(kColdAlone)));
}

}  // namespace

bool family_of(PlannerInfo *root, RelOptInfo *input, Family *f) {
  if (!input || input->reloptkind != RELOPT_BASEREL || input->rtekind != RTE_RELATION || !root->append_rel_array) return false;
  RangeTblEntry *entry = planner_rt_fetch(input->relid, root);
  if (!entry->inh || entry->relkind != RELKIND_RELATION || entry->tablesample) return false;
  const bridge::EnrolledTable *table = bridge::enrolled_table(entry->relid);
  if (!table || !OidIsValid(table->elsewhere) || !table->only_child) return false;
  Oid child = table->elsewhere;
  f->parent = input;
  for (int i = 1; i < root->simple_rel_array_size; i++) {
    AppendRelInfo *of = root->append_rel_array[i];
    if (!of || of->parent_relid != input->relid) continue;
    RelOptInfo *rel = root->simple_rel_array[i];
    if (!rel || IS_DUMMY_REL(rel) || !rel->cheapest_total_path || rel->cheapest_total_path->param_info) return false;
    (planner_rt_fetch(static_cast<Index>(i), root)->relid == child ? f->elsewhere : f->heap) = rel;
  }
  if (!f->heap || !f->elsewhere || bms_is_member(static_cast<int>(f->elsewhere->relid), root->all_result_relids)) return false;
  f->known = static_cast<RelPlan *>(f->elsewhere->fdw_private);
  return f->known && f->known->role == Role::elsewhere && !get_plan_rowmark(root->rowMarks, input->relid);
}

AppendRelInfo *child_of(PlannerInfo *root, const Family &f) { return root->append_rel_array[f.elsewhere->relid]; }

ScanPlan begun(const Family &f) {
  ScanPlan plan;
  plan.part = Part::homes;
  plan.exact = true;
  plan.parent = f.known->parent;
  plan.table = f.known->table;
  plan.client_attnum = f.known->client.attnum;
  return plan;
}

Path *local_rows(PlannerInfo *root, const Family &f, bool parallel) {
  Path *cold = cold_path(root, f);
  AppendPath *append;
  if (parallel) {
    Path *heap = static_cast<Path *>(linitial(f.heap->partial_pathlist));
    append = create_append_path(root, f.parent, list_make1(cold), list_make1(heap), NIL, nullptr, heap->parallel_workers, true, -1);
  } else {
    append = create_append_path(root, f.parent, list_make2(f.heap->cheapest_total_path, cold), NIL, NIL, nullptr, 0, false, -1);
  }
  append->path.pathtarget = f.known->parent_target;
  return reinterpret_cast<Path *>(create_projection_path(root, f.parent, &append->path, f.parent->reltarget));
}

RelOptInfo *parts_relation(const Family &f, PathTarget *target, const ScanPlan &plan, List *params, bool parallel,
                           PathTarget *columns) {
  RelOptInfo *rel = makeNode(RelOptInfo);
  rel->reloptkind = RELOPT_UPPER_REL;
  rel->relids = bms_copy(f.elsewhere->relids);
  rel->reltarget = target;
  rel->consider_parallel = parallel;
  rel->serverid = f.elsewhere->serverid;
  rel->userid = f.elsewhere->userid;
  rel->useridiscurrent = f.elsewhere->useridiscurrent;
  rel->fdwroutine = f.elsewhere->fdwroutine;
  Parts *parts = static_cast<Parts *>(palloc0(sizeof(Parts)));
  parts->plan = to_private(plan);
  parts->params = params;
  parts->columns = columns ? columns : target;
  rel->fdw_private = parts;
  return rel;
}

Path *remote_parts(PlannerInfo *root, RelOptInfo *rel, double rows) {
  Cost total = kAskAll + rows * kRemoteRow;
  return reinterpret_cast<Path *>(create_foreign_upper_path(root, rel, rel->reltarget, rows, kAskAll, total, NIL, nullptr, NIL));
}

Path *both(PlannerInfo *root, RelOptInfo *rel, Path *local, Path *remote) {
  AppendPath *append = create_append_path(root, rel, list_make2(local, remote), NIL, NIL, nullptr, 0, false, -1);
  append->path.pathtarget = rel->reltarget;
  return &append->path;
}

ForeignScan *get_parts_plan(RelOptInfo *rel, List *tlist) {
  auto *parts = static_cast<Parts *>(rel->fdw_private);
  return make_foreignscan(tlist, NIL, 0, static_cast<List *>(copyObjectImpl(parts->params)),
                          static_cast<List *>(copyObjectImpl(parts->plan)), make_tlist_from_pathtarget(parts->columns), NIL, nullptr);
}

}  // namespace vectorshard::read
