// Rows on their way to the home: see home_row.hpp.
#include "pg/read/home_row.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/session.hpp"
extern "C" {
#include "executor/executor.h"
}

namespace vectorshard::read {

namespace {

// A row that comes and goes at the home faster than it can be asked about.
constexpr int kMostTries = 10;

std::vector<AttrNumber> live_columns(TupleDesc desc) {
  std::vector<AttrNumber> out;
  for (AttrNumber a = 1; a <= desc->natts; a++)
    if (!TupleDescAttr(desc, a - 1)->attisdropped) out.push_back(a);
  return out;
}

}  // namespace

HomeRow::HomeRow(Relation relation) : desc_(RelationGetDescr(relation)), input_(desc_, live_columns(desc_)) {
  const bridge::EnrolledTable *t = bridge::enrolled_table(RelationGetRelid(relation));
  if (!t)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "the table of these rows is not enrolled any more", "", "Retry the statement.");
  table_ = t->name;
  key_ = t->key;
  for (AttrNumber a : live_columns(desc_)) {
    returned_.push_back(NameStr(TupleDescAttr(desc_, a - 1)->attname));
    if (!TupleDescAttr(desc_, a - 1)->attgenerated && a != t->version_attnum) written_.push_back(a);
  }
}

std::vector<ColumnValue> HomeRow::values(TupleTableSlot *slot, const std::vector<AttrNumber> &columns) const {
  StableOutput stable;
  std::vector<ColumnValue> out;
  for (AttrNumber a : columns) out.push_back({NameStr(TupleDescAttr(desc_, a - 1)->attname), text_of(slot, a)});
  return out;
}

bool HomeRow::run(NodeId home, TupleTableSlot *slot, const std::string &sql) {
  Session &session = session_at(home);
  session.will_write();
  bridge::PgResult r = session.run(sql);
  if (PQntuples(r.get()) == 0) return false;
  input_.store(slot, [&](int i) { return PQgetisnull(r.get(), 0, i) ? nullptr : PQgetvalue(r.get(), 0, i); });
  return true;
}

bool HomeRow::insert(NodeId home, TupleTableSlot *slot, bool or_nothing) {
  return run(home, slot, insert_statement(table_, values(slot, written_), or_nothing, returned_));
}

namespace {

std::string text_of_key(const std::vector<ColumnValue> &key) {
  std::vector<std::string> parts;
  for (const ColumnValue &c : key) parts.push_back(c.value.value_or(""));
  return array_text(parts);
}

}  // namespace

bool HomeRow::insert_or_update(NodeId home, TupleTableSlot *slot, ResultRelInfo *rel, EState *estate, List *columns) {
  std::vector<ColumnValue> row = values(slot, written_), key = values(slot, key_);
  bridge::pg_call([&] { ExecMaterializeSlot(slot); });  // the row that the statement calls `excluded`
  for (int i = 0; i < kMostTries; i++) {
    TupleTableSlot *existing = rel->ri_onConflict->oc_Existing;
    if (run(home, existing, insert_statement(table_, row, true, returned_))) {
      bridge::pg_call([&] { (void)ExecCopySlot(slot, existing); });
      hit_.insert(text_of_key(key));
      return true;
    }
    if (hit_.contains(text_of_key(key)))
      bridge::raise_sqlstate(ERRCODE_CARDINALITY_VIOLATION, "ON CONFLICT DO UPDATE command cannot affect row a second time", "",
                             "Ensure that no rows proposed for insertion within the same command have duplicate constrained values.");
    if (!run(home, existing, locking_statement(table_, key, returned_))) continue;
    bool changed = update(home, slot, rel, estate, columns, key);
    if (changed) hit_.insert(text_of_key(key));
    return changed;
  }
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "the row comes and goes at the home of its client", "", "Retry the transaction.");
}

/// The row that is there is in oc_Existing, locked: what ExecOnConflictUpdate() does with a row of the heap.
bool HomeRow::update(NodeId home, TupleTableSlot *slot, ResultRelInfo *rel, EState *estate, List *columns, const std::vector<ColumnValue> &key) {
  OnConflictSetState *set = rel->ri_onConflict;
  bool wanted = bridge::pg_call([&] {
    ExprContext *context = set->oc_ProjInfo->pi_exprContext;
    context->ecxt_scantuple = set->oc_Existing;
    context->ecxt_innertuple = slot;
    context->ecxt_outertuple = nullptr;
    if (!ExecQual(set->oc_WhereClause, context)) return false;
    if (rel->ri_WithCheckOptions != NIL) ExecWithCheckOptions(WCO_RLS_CONFLICT_CHECK, rel, set->oc_Existing, estate);
    (void)ExecProject(set->oc_ProjInfo);
    if (rel->ri_WithCheckOptions != NIL) ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, rel, set->oc_ProjSlot, estate);
    return true;
  });
  if (!wanted) return false;
  std::vector<AttrNumber> changed;
  ListCell *lc;
  foreach (lc, columns)
    if (std::find(written_.begin(), written_.end(), lfirst_int(lc)) != written_.end()) changed.push_back(static_cast<AttrNumber>(lfirst_int(lc)));
  bool hit = run(home, slot, update_statement(table_, false, values(set->oc_ProjSlot, changed), key, returned_));
  bridge::pg_call([&] { (void)ExecClearTuple(set->oc_Existing); });
  return hit;
}

}  // namespace vectorshard::read
