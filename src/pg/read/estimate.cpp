// Rows elsewhere: see estimate.hpp. Clients that are not resident are taken to have as many rows as those that are, of which as
// many meet the conditions.
#include "pg/read/estimate.hpp"

extern "C" {
#include "access/table.h"
#include "catalog/namespace.h"
#include "optimizer/optimizer.h"
#include "optimizer/plancat.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

namespace {

constexpr double kRowsOfClient = 10;  // where nothing is known

double tuples_of(const char *name) {
  Oid oid = get_relname_relid(name, get_namespace_oid("vectorshard", false));
  if (!OidIsValid(oid)) return 0;
  Relation relation = table_open(oid, AccessShareLock);
  BlockNumber pages;
  double tuples, visible;
  estimate_rel_size(relation, nullptr, &pages, &tuples, &visible);
  table_close(relation, NoLock);
  return tuples;
}

RelOptInfo *heap_beside(PlannerInfo *root, RelOptInfo *rel, Oid parent) {
  AppendRelInfo *of = root->append_rel_array ? root->append_rel_array[rel->relid] : nullptr;
  if (!of) return nullptr;
  for (int i = 1; i < root->simple_rel_array_size; i++) {
    AppendRelInfo *other = root->append_rel_array[i];
    if (!other || other->parent_relid != of->parent_relid || !root->simple_rel_array[i]) continue;
    if (planner_rt_fetch(static_cast<Index>(i), root)->relid == parent) return root->simple_rel_array[i];
  }
  return nullptr;
}

}  // namespace

double rows_elsewhere(PlannerInfo *root, RelOptInfo *rel, Oid parent) {
  double residents = tuples_of("resident"), away = Max(tuples_of("client") - residents, 0);
  RelOptInfo *heap = heap_beside(root, rel, parent);
  bool known = heap && heap->tuples >= 1 && residents >= 1;
  double of_client = known ? heap->tuples / residents : kRowsOfClient;
  double share = known ? heap->rows / heap->tuples : clauselist_selectivity(root, rel->baserestrictinfo, 0, JOIN_INNER, nullptr);
  return clamp_row_est(away * of_client * share);
}

}  // namespace vectorshard::read
