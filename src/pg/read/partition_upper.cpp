// Aggregates over partitions in stores: see partition_upper.hpp. The planner's errors pass through pg_call.
#include "pg/read/partition_upper.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/read/family.hpp"
#include "pg/read/grouping.hpp"
#include "pg/read/partial.hpp"
#include "pg/read/partition_outputs.hpp"
#include "pg/read/partition_plan.hpp"
#include "pg/read/plan.hpp"
extern "C" {
#include "catalog/pg_class.h"
#include "port/pg_bitutils.h"
#include "optimizer/appendinfo.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/tlist.h"
#include "parser/parsetree.h"
#include "utils/fmgroids.h"
#include "utils/selfuncs.h"
}

namespace vectorshard::read {

namespace {

// Of each row that goes into an aggregate: decoding one column, in DuckDB.
constexpr double kInsideCost = 0.05;

struct Leaves {
  List *here = NIL;      // RelOptInfo of partitions in heaps, and others
  List *in_store = NIL;  // of partitions in stores
};

bool in_store(RelOptInfo *rel) {
  if (!rel->fdwroutine || !is_our_wrapper(rel->fdwroutine) || !rel->fdw_private) return false;
  Role role = static_cast<RelPlan *>(rel->fdw_private)->role;
  return role == Role::partition || role == Role::parquet;
}

void collect_leaves(RelOptInfo *rel, Leaves *out) {
  if (IS_DUMMY_REL(rel)) return;
  if (rel->nparts > 0 && rel->part_rels) {
    for (int i = -1; (i = bms_next_member(rel->live_parts, i)) >= 0;)
      if (rel->part_rels[i]) collect_leaves(rel->part_rels[i], out);
    return;
  }
  (in_store(rel) ? out->in_store : out->here) = lappend(in_store(rel) ? out->in_store : out->here, rel);
}

/// False if `input` is no such table, or its rows are not just read.
bool leaves_of(PlannerInfo *root, RelOptInfo *input, Leaves *out) {
  if (!input || input->reloptkind != RELOPT_BASEREL || input->rtekind != RTE_RELATION) return false;
  RangeTblEntry *entry = planner_rt_fetch(input->relid, root);
  if (entry->tablesample || bms_is_member(static_cast<int>(input->relid), root->all_result_relids) || root->rowMarks != NIL) return false;
  if (entry->relkind != RELKIND_PARTITIONED_TABLE && !in_store(input)) return false;
  if (entry->relkind == RELKIND_PARTITIONED_TABLE && (!entry->inh || input->nparts <= 0 || !input->part_rels)) return false;
  collect_leaves(input, out);
  ListCell *lc;
  foreach (lc, out->here) {
    auto *leaf = static_cast<RelOptInfo *>(lfirst(lc));
    if (!leaf->cheapest_total_path || leaf->cheapest_total_path->param_info) return false;
  }
  return out->in_store != NIL;
}

Node *of_child(PlannerInfo *root, Node *expression, RelOptInfo *child, RelOptInfo *parent) {
  if (child == parent) return expression;
  int count;
  AppendRelInfo **infos = find_appinfos_by_relids(root, child->relids, &count);
  Node *out;
  if (infos[0]->parent_relid == parent->relid)
    out = adjust_appendrel_attrs(root, expression, count, infos);
  else
#if PG_VERSION_NUM >= 160000
    out = adjust_appendrel_attrs_multilevel(root, expression, child, parent);
#else
    out = adjust_appendrel_attrs_multilevel(root, expression, child->relids, parent->relids);
#endif
  pfree(infos);
  return out;
}

struct Shape {
  PlannerInfo *root;
  RelOptInfo *input;
  PathTarget *target;  // of every part
  int groups = 0;
  bool distinct = false;
  double rows = 1;     // of one part's answer
};

/// The form of one of the outputs for a partition; null if it must be computed here.
Expr *output_form(const Shape &s, RelOptInfo *leaf, Expr *expression, List **params) {
  Node *mine = of_child(s.root, reinterpret_cast<Node *>(expression), leaf, s.input);
  if (IsA(mine, FuncExpr) && castNode(FuncExpr, mine)->funcid == F_DATE_TRUNC_TEXT_TIMESTAMP) {
    mine = static_cast<Node *>(copyObjectImpl(mine));
    castNode(FuncExpr, mine)->inputcollid = InvalidOid;  // of the unit's name, which is looked for among words of ASCII
  }
  if (!IsA(mine, Aggref)) return shippable_form(s.root, reinterpret_cast<Expr *>(mine), leaf->relid, kFirstConditionParam, params);
  Aggref *out = makeNode(Aggref);
  *out = *castNode(Aggref, mine);
  out->args = NIL;
  ListCell *lc;
  foreach (lc, castNode(Aggref, mine)->args) {
    auto *entry = static_cast<TargetEntry *>(copyObjectImpl(lfirst(lc)));
    entry->expr = shippable_form(s.root, entry->expr, leaf->relid, kFirstConditionParam, params);
    if (!entry->expr) return nullptr;
    out->args = lappend(out->args, entry);
  }
  if (!out->aggfilter) return reinterpret_cast<Expr *>(out);
  out->aggfilter = shippable_form(s.root, out->aggfilter, leaf->relid, kFirstConditionParam, params);
  return out->aggfilter ? reinterpret_cast<Expr *>(out) : nullptr;
}

/// What the segment of a partition computes; null if it cannot compute all of it.
Path *part_path(const Shape &s, RelOptInfo *leaf) {
  auto *known = static_cast<RelPlan *>(leaf->fdw_private);
  const tier::SegmentColumns &columns = known->segment->columns;
  ScanPlan plan;
  plan.role = known->role;
  plan.table = known->table;
  plan.groups = s.groups;
  plan.distinct = s.distinct;
  List *params = NIL;
  if (!segment_conditions(s.root, leaf, leaf->baserestrictinfo, columns, &plan, &params)) return nullptr;
  ListCell *lc;
  foreach (lc, s.target->exprs) {
    Expr *form = bridge::pg_call([&] { return output_form(s, leaf, static_cast<Expr *>(lfirst(lc)), &params); });
    if (!form || !segment_output(reinterpret_cast<Node *>(form), columns, NIL)) return nullptr;
    bool groups = s.distinct || foreach_current_index(lc) < s.groups;
    if (groups && !groups_alike(reinterpret_cast<Node *>(form), columns)) return nullptr;
    plan.outputs = bridge::pg_call([&] { return lappend(plan.outputs, form); });
  }
  return bridge::pg_call([&] {
    Family family;
    family.elsewhere = leaf;
    RelOptInfo *rel = parts_relation(family, s.target, plan, params, s.input->consider_parallel);
    double columns_read = Max(1, list_length(s.target->exprs));
    // Looking for row groups costs what it costs a scan of rows (partition_paths.cpp); what is left of them is cheaper here.
    Cost inside = leaf->tuples * 0.1 * cpu_operator_cost + known->given * cpu_tuple_cost * kInsideCost * columns_read, startup = kAskAll * Max(1, known->files) + inside;
    return reinterpret_cast<Path *>(
        create_foreign_upper_path(s.root, rel, s.target, s.rows, startup, startup + s.rows * cpu_tuple_cost, NIL, nullptr, NIL));
  });
}

/// The parts of all partitions in stores; NIL if one of them cannot compute its.
List *part_paths(const Shape &s, const Leaves &leaves) {
  List *out = NIL;
  ListCell *lc;
  foreach (lc, leaves.in_store) {
    Path *path = part_path(s, static_cast<RelOptInfo *>(lfirst(lc)));
    if (!path) return NIL;
    out = bridge::pg_call([&] { return lappend(out, path); });
  }
  return out;
}

/// The rows of the partitions that are here; partial ones with `parallel`, null if there is no such way.
Path *rows_here(const Shape &s, const Leaves &leaves, bool parallel) {
  List *whole = NIL, *partial = NIL;
  int workers = 0;
  ListCell *lc;
  foreach (lc, leaves.here) {
    auto *leaf = static_cast<RelOptInfo *>(lfirst(lc));
    if (!parallel) {
      whole = lappend(whole, leaf->cheapest_total_path);
      continue;
    }
    if (leaf->partial_pathlist == NIL) return nullptr;
    partial = lappend(partial, linitial(leaf->partial_pathlist));
    workers = Max(workers, static_cast<Path *>(linitial(leaf->partial_pathlist))->parallel_workers);
  }
  // As add_paths_to_append_rel() does: more partitions may use more workers.
  if (parallel) workers = Min(Max(workers, pg_leftmost_one_pos32(static_cast<uint32>(list_length(partial))) + 1), max_parallel_workers_per_gather);
  if (parallel && workers <= 0) return nullptr;
  AppendPath *append = create_append_path(s.root, s.input, whole, partial, NIL, nullptr, workers, parallel && enable_parallel_append, -1);
  append->path.pathtarget = s.input->reltarget;
  return &append->path;
}

/// A relation that all parts together make.
RelOptInfo *parts_together(const Shape &s) {
  RelOptInfo *rel = makeNode(RelOptInfo);
  rel->reloptkind = RELOPT_UPPER_REL;
  rel->relids = bms_copy(s.input->relids);
  rel->reltarget = s.target;
  rel->consider_parallel = s.input->consider_parallel;
  return rel;
}

Path *together(const Shape &s, RelOptInfo *rel, List *parts) {
  if (list_length(parts) == 1) return static_cast<Path *>(linitial(parts));
  AppendPath *append = create_append_path(s.root, rel, parts, NIL, NIL, nullptr, 0, false, -1);
  append->path.pathtarget = s.target;
  return &append->path;
}

double estimated_groups(PlannerInfo *root, List *clauses, List *targets, double rows) {
  return clauses == NIL ? 1 : estimate_num_groups(root, get_sortgrouplist_exprs(clauses, targets), rows, nullptr, nullptr);
}

}  // namespace

void add_partition_grouping(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output, GroupPathExtraData *extra) {
  Query *parse = root->parse;
  Leaves leaves;
  if (parse->groupingSets || parse->hasTargetSRFs || !(extra->flags & GROUPING_CAN_PARTIAL_AGG)) return;
  if (!bridge::pg_call([&] { return leaves_of(root, input, &leaves); })) return;
  Shape s{root, input, nullptr};
  s.target = bridge::pg_call([&] { return partial_target(root, output->reltarget, extra->havingQual, &s.groups); });
  if (!s.target) return;
  Grouping g = bridge::pg_call([&] { return grouping_of(root, input, extra); });
  s.rows = g.groups;
  List *parts = part_paths(s, leaves);
  if (parts == NIL) return;
  bridge::pg_call([&] {
    RelOptInfo *rel = parts_together(s);
    List *all = leaves.here == NIL ? parts : lcons(first_step(root, rel, rows_here(s, leaves, false), rel->consider_parallel ? rows_here(s, leaves, true) : nullptr, g), parts);
    add_last_step(root, output, together(s, rel, all), g);
  });
}

void add_partition_distinct(PlannerInfo *root, RelOptInfo *input, RelOptInfo *output) {
  Query *parse = root->parse;
  Leaves leaves;
  if (parse->hasDistinctOn || parse->hasTargetSRFs || parse->hasAggs || parse->hasWindowFuncs || parse->groupClause || root->distinct_pathkeys == NIL)
    return;
  if (!bridge::pg_call([&] { return leaves_of(root, input, &leaves); })) return;
  Shape s{root, input, input->cheapest_total_path->pathtarget};
  s.distinct = true;
  if (s.target->exprs == NIL || list_length(s.target->exprs) != list_length(parse->distinctClause)) return;
  s.rows = bridge::pg_call([&] { return estimated_groups(root, parse->distinctClause, parse->targetList, input->rows); });
  List *parts = part_paths(s, leaves);
  if (parts == NIL) return;
  bridge::pg_call([&] {
    RelOptInfo *rel = parts_together(s);
    Path *rows = together(s, rel, leaves.here == NIL ? parts : lcons(rows_here(s, leaves, false), parts));
    if (grouping_is_hashable(parse->distinctClause))
      add_path(output, reinterpret_cast<Path *>(create_agg_path(root, output, rows, s.target, AGG_HASHED, AGGSPLIT_SIMPLE, parse->distinctClause, NIL,
                                                                nullptr, s.rows)));
    if (!grouping_is_sortable(parse->distinctClause)) return;
    Path *sorted = reinterpret_cast<Path *>(create_sort_path(root, output, rows, root->distinct_pathkeys, -1.0));
    add_path(output, reinterpret_cast<Path *>(create_upper_unique_path(root, output, sorted, list_length(root->distinct_pathkeys), s.rows)));
  });
}

}  // namespace vectorshard::read
