// Planning a scan of rows that are elsewhere, of a moved partition, or of the telemetry table.
//
// The child stands beside a heap that answers nearly every query, so it is nearly free where its clients are named
// (they are mostly resident) and offers a path for every set of outer relations that the heap's indexes can use: one
// child without such a path would cost the whole Append its nested loops. A path that may have to ask other nodes for
// every outer row is dear.
#include "pg/read/plan.hpp"

#include "pg/bridge/tables.hpp"
#include "pg/read/estimate.hpp"
#include "pg/read/family.hpp"
#include "pg/read/limit.hpp"
#include "pg/read/partition_paths.hpp"
#include "pg/read/partition_plan.hpp"
extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "optimizer/appendinfo.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "optimizer/planmain.h"
#include "optimizer/prep.h"
#include "optimizer/restrictinfo.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
}

namespace vectorshard::read {

namespace {

constexpr int kMaxOuterSets = 16;

RelPlan *rel_plan(RelOptInfo *rel) { return static_cast<RelPlan *>(rel->fdw_private); }

Oid planned_parent(PlannerInfo *root, RelOptInfo *rel, Oid table) {
  if (rel->reloptkind == RELOPT_OTHER_MEMBER_REL && root->append_rel_array && root->append_rel_array[rel->relid]) {
    Oid parent = root->append_rel_array[rel->relid]->parent_reloid;
    if (OidIsValid(parent)) return parent;
  }
  return parent_of(table);
}

/// Does some condition of the list name clients?
bool any_names_client(PlannerInfo *root, List *rinfos, Index relid, const ClientColumn &client) {
  ListCell *lc;
  foreach (lc, rinfos) {
    Expr *value;
    if (names_client(root, lfirst_node(RestrictInfo, lc)->clause, relid, client, &value) != Naming::none) return true;
  }
  return false;
}

bool any_column(PlannerInfo *, RelOptInfo *rel, EquivalenceClass *, EquivalenceMember *member, void *) {
  return bms_equal(member->em_relids, rel->relids);
}

List *add_outer(List *sets, Relids outer) {
  ListCell *lc;
  foreach (lc, sets)
    if (bms_equal(static_cast<Relids>(lfirst(lc)), outer)) return sets;
  return list_length(sets) < kMaxOuterSets ? lappend(sets, outer) : sets;
}

}  // namespace

/// Unions of sets included: an index path of the heap may combine clauses, and an Append takes a child's path only if its outer relations are the same.
List *outer_sets(PlannerInfo *root, RelOptInfo *rel) {
  if (!rel->has_eclass_joins && rel->joininfo == NIL) return NIL;
  List *clauses = list_concat(list_copy(rel->joininfo), generate_implied_equalities_for_column(
                                                            root, rel, any_column, nullptr, rel->lateral_referencers));
  List *sets = NIL;
  ListCell *lc, *other;
  foreach (lc, clauses) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    if (!join_clause_is_movable_to(rinfo, rel)) continue;
    Relids outer = bms_union(rinfo->clause_relids, rel->lateral_relids);
    outer = bms_del_member(outer, static_cast<int>(rel->relid));
    if (bms_is_empty(outer)) continue;
    List *unions = NIL;
    foreach (other, sets) unions = lappend(unions, bms_union(static_cast<Relids>(lfirst(other)), outer));
    sets = add_outer(sets, outer);
    foreach (other, unions) sets = add_outer(sets, static_cast<Relids>(lfirst(other)));
  }
  return sets;
}

namespace {

void add_scan_path(PlannerInfo *root, RelOptInfo *rel, Relids outer, double rows, Cost total) {
  ForeignPath *path = create_foreignscan_path(root, rel, nullptr, rows, Min(kStartup, total), total, NIL, outer, nullptr, NIL);
  add_path(rel, reinterpret_cast<Path *>(path));
}

/// True if `rinfo` may be evaluated on another node, before the security conditions of the query.
bool may_leave(RelOptInfo *rel, RestrictInfo *rinfo) {
  return rinfo->leakproof || rinfo->security_level <= rel->baserestrict_min_security;
}

}  // namespace

/// Of a vector-shard table the client tells which rows are here already.
List *needed_columns(RelOptInfo *rel, List *clauses, Oid table, AttrNumber client) {
  Bitmapset *used = nullptr;
  pull_varattnos(reinterpret_cast<Node *>(rel->reltarget->exprs), rel->relid, &used);
  ListCell *lc;
  foreach (lc, clauses)
    pull_varattnos(reinterpret_cast<Node *>(lfirst_node(RestrictInfo, lc)->clause), rel->relid, &used);
  if (client == 0 && bms_is_empty(used)) return NIL;
  bool whole = bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, used);
  List *out = NIL;
  for (AttrNumber a = 1; a <= rel->max_attr; a++) {
    if (!whole && a != client && !bms_is_member(a - FirstLowInvalidHeapAttributeNumber, used)) continue;
    if (get_attname(table, a, true)) out = lappend_int(out, a);
  }
  return out;
}

namespace {

/// Whether the scan feeds an UPDATE or DELETE of this table, and how its row mark locks.
void plan_locking(PlannerInfo *root, RelOptInfo *rel, ScanPlan *plan) {
  CmdType command = root->parse->commandType;
  plan->changes = bms_is_member(static_cast<int>(rel->relid), root->all_result_relids) &&
                  (command == CMD_UPDATE || command == CMD_DELETE);
  PlanRowMark *mark = get_plan_rowmark(root->rowMarks, rel->relid);
  if (!mark) return;
  plan->lock_strength = static_cast<int>(mark->strength);
  plan->wait_policy = static_cast<int>(mark->waitPolicy);
}

/// Sorts the conditions of an elsewhere scan into what names clients, what is sent, and their expressions.
List *plan_conditions(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan) {
  RelPlan *known = rel_plan(rel);
  Expr *naming = nullptr;
  RestrictInfo *chosen = nullptr;
  ListCell *lc;
  foreach (lc, clauses) {
    Expr *value;
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    Naming how = names_client(root, rinfo->clause, rel->relid, known->client, &value);
    if (how == Naming::none || plan->naming == Naming::one) continue;
    if (plan->naming == Naming::any && how == Naming::any) continue;
    plan->naming = how;
    naming = value;
    chosen = rinfo;
  }
  List *params = NIL;
  foreach (lc, clauses) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    if (rinfo == chosen || rinfo->pseudoconstant || !may_leave(rel, rinfo)) continue;
    Expr *form = shippable_form(root, rinfo->clause, rel->relid, kFirstConditionParam, &params);
    if (form) plan->conditions = lappend(plan->conditions, form);
  }
  return naming ? lcons(naming, params) : params;
}

}  // namespace

bool ship_conditions(PlannerInfo *root, RelOptInfo *rel, List *clauses, ScanPlan *plan, List **params) {
  RelPlan *known = rel_plan(rel);
  if (any_names_client(root, clauses, rel->relid, known->client)) return false;
  ListCell *lc;
  foreach (lc, clauses) {
    RestrictInfo *rinfo = lfirst_node(RestrictInfo, lc);
    Expr *form = may_leave(rel, rinfo) ? shippable_form(root, rinfo->clause, rel->relid, kFirstConditionParam, params) : nullptr;
    if (!form) return false;
    plan->conditions = lappend(plan->conditions, form);
  }
  return true;
}

bool made_by_this_transaction(Oid table) {
  Relation relation = RelationIdGetRelation(table);
  if (!RelationIsValid(relation)) return false;
  bool made = relation->rd_createSubid != InvalidSubTransactionId;
  RelationClose(relation);
  return made;
}

Oid parent_of(Oid child) {
  Relation inherits = table_open(InheritsRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(child));
  SysScanDesc scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, nullptr, 1, &key);
  HeapTuple tuple = systable_getnext(scan);
  Oid parent = HeapTupleIsValid(tuple) ? (reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple)))->inhparent : InvalidOid;
  systable_endscan(scan);
  table_close(inherits, AccessShareLock);
  return parent;
}

ClientColumn client_column(Oid parent, Oid child) {
  ClientColumn out;
  const bridge::EnrolledTable *table = OidIsValid(parent) ? bridge::enrolled_table(parent) : nullptr;
  if (!table || table->reference) return out;
  out.attnum = get_attnum(child, table->client_column.c_str());
  if (out.attnum > 0) out.type = get_atttype(child, out.attnum);
  return out;
}

Expr *client_from_outer(PlannerInfo *root, ForeignPath *path, Relids outer) {
  RelOptInfo *rel = path->path.parent;
  if (!path->path.param_info || !rel->fdwroutine || !is_our_wrapper(rel->fdwroutine) || rel_plan(rel)->role != Role::elsewhere) return nullptr;
  ListCell *lc;
  foreach (lc, path->path.param_info->ppi_clauses) {
    Expr *value;
    if (names_client(root, lfirst_node(RestrictInfo, lc)->clause, rel->relid, rel_plan(rel)->client, &value) != Naming::one) continue;
    Relids from = pull_varnos(root, reinterpret_cast<Node *>(value));
    if (!bms_is_empty(from) && bms_is_subset(from, outer)) return value;
  }
  return nullptr;
}

int look_ahead_token(ForeignPath *path) {
  static int last = 0;
  if (path->fdw_private == NIL) {
    // The genetic search of join orders runs in memory that goes before the path does.
    MemoryContext old = MemoryContextSwitchTo(GetMemoryChunkContext(path));
    path->fdw_private = list_make1_int(++last);
    MemoryContextSwitchTo(old);
  }
  return linitial_int(path->fdw_private);
}

void get_rel_size(PlannerInfo *root, RelOptInfo *rel, Oid table) {
  RelPlan *known = static_cast<RelPlan *>(palloc0(sizeof(RelPlan)));
  known->role = role_of(table);
  known->table = table;
  if (known->role == Role::elsewhere) {
    known->parent = planned_parent(root, rel, table);
    known->client = client_column(known->parent, table);
    if (root->append_rel_array && root->append_rel_array[rel->relid])
      known->parent_target = root->simple_rel_array[root->append_rel_array[rel->relid]->parent_relid]->reltarget;
    bool named = any_names_client(root, rel->baserestrictinfo, rel->relid, known->client);
    rel->rows = named ? 1 : rows_elsewhere(root, rel, known->parent);
  }
  rel->fdw_private = known;
  if (known->role == Role::parquet) return files_size(root, rel);
  if (known->role == Role::telemetry) set_baserel_size_estimates(root, rel);
}

void get_paths(PlannerInfo *root, RelOptInfo *rel, Oid table) {
  RelPlan *known = rel_plan(rel);
  if (known->role == Role::parquet) return partition_paths(root, rel);
  if (known->role == Role::telemetry) {
    ForeignPath *path = create_foreignscan_path(root, rel, nullptr, rel->rows, kAskAll, kAskAll + rel->rows * 0.02, NIL,
                                                rel->lateral_relids, nullptr, NIL);
    add_path(rel, reinterpret_cast<Path *>(path));
    return;
  }
  bool named = any_names_client(root, rel->baserestrictinfo, rel->relid, known->client);
  List *sets = outer_sets(root, rel);
  // Dearer than the parameterised paths below, or add_path would drop those as no better than this one.
  Cost plain = named ? kNamed + (sets == NIL ? 0 : 1) : 2 * kAskAll + rel->rows * kRemoteRow;
  add_scan_path(root, rel, rel->lateral_relids, rel->rows, plain);
  ListCell *lc;
  foreach (lc, sets) {
    ParamPathInfo *info = get_baserel_parampathinfo(root, rel, static_cast<Relids>(lfirst(lc)));
    bool by_join = named || any_names_client(root, info->ppi_clauses, rel->relid, known->client);
    add_scan_path(root, rel, info->ppi_req_outer, 1, by_join ? kNamed : kAskAll);
  }
}

ForeignScan *get_plan(PlannerInfo *root, RelOptInfo *rel, Oid table, ForeignPath *path, List *tlist, List *clauses,
                      Plan *outer) {
  if (rel->reloptkind == RELOPT_UPPER_REL) return get_parts_plan(rel, tlist);
  RelPlan *known = rel_plan(rel);
  ScanPlan plan;
  plan.role = known->role;
  plan.parent = known->parent;
  plan.table = table;
  plan.client_attnum = known->client.attnum;
  int mark = path->fdw_private == NIL ? 0 : linitial_int(path->fdw_private);
  plan.part = mark == kColdAlone ? Part::cold : Part::all;
  plan.ahead = mark == kColdAlone ? 0 : mark;
  plan.columns = needed_columns(rel, clauses, table, known->client.attnum);
  plan_locking(root, rel, &plan);
  if (known->role == Role::partition) return stub_plan(root, rel, path, tlist, clauses, plan);
  List *expressions = NIL;
  if (plan.role == Role::parquet) expressions = plan_partition(root, rel, clauses, &plan);
  if (plan.role == Role::elsewhere && plan.part == Part::all) {
    expressions = plan_conditions(root, rel, clauses, &plan);
    if (!path->path.param_info) plan_limit(root, rel, clauses, &plan, &expressions);
  }
  return make_foreignscan(tlist, extract_actual_clauses(clauses, false), rel->relid, expressions, to_private(plan), NIL,
                          NIL, outer);
}

}  // namespace vectorshard::read
