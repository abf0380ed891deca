// Forwarded changes: see forward.hpp.
#include "pg/read/forward.hpp"

#include "pg/bridge/as_owner.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/read/held.hpp"
#include "pg/read/home_tables.hpp"
#include "pg/read/plan.hpp"
#include "pg/read/session.hpp"
#include "pg/read/whereabouts.hpp"
extern "C" {
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/appendinfo.h"
#include "utils/lsyscache.h"
}

namespace vectorshard::read {

namespace {

/// The key columns of the vector-shard table whose foreign child `relation` is, as attribute numbers of the child.
std::vector<AttrNumber> key_columns(Relation relation, std::string *table, Oid *owner) {
  Oid child = RelationGetRelid(relation);
  Oid parent = bridge::pg_call([&] { return parent_of(child); });
  const bridge::EnrolledTable *t = OidIsValid(parent) ? bridge::enrolled_table(parent) : nullptr;
  if (!t)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                           std::string("foreign table \"") + RelationGetRelationName(relation) +
                               "\" does not belong to an enrolled table",
                           "", "Drop it.");
  if (table) *table = t->name;
  if (owner) *owner = t->owner;
  std::vector<AttrNumber> parent_key = t->key, out;
  for (AttrNumber a : parent_key)
    out.push_back(bridge::pg_call([&] { return get_attnum(child, get_attname(parent, a, false)); }));
  return out;
}

std::string junk_name(size_t i) { return "vectorshard_key_" + std::to_string(i); }

}  // namespace

void add_key_targets(PlannerInfo *root, Index rtindex, Relation relation) {
  auto key = key_columns(relation, nullptr, nullptr);
  for (size_t i = 0; i < key.size(); i++) {
    std::string name = junk_name(i);
    bridge::pg_call([&] {
      Form_pg_attribute a = TupleDescAttr(RelationGetDescr(relation), key[i] - 1);
      Var *var = makeVar(static_cast<int>(rtindex), a->attnum, a->atttypid, a->atttypmod, a->attcollation, 0);
      add_row_identity_var(root, var, rtindex, pstrdup(name.c_str()));
    });
  }
}

Forward::Forward(ModifyTableState *state, ResultRelInfo *rel, const std::vector<AttrNumber> &targets)
    : rel_(rel), home_(is_home_table(parent_of(RelationGetRelid(rel->ri_RelationDesc)))), targets_(targets), returning_(rel->ri_returningList != NIL) {
  Relation relation = rel->ri_RelationDesc;
  TupleDesc desc = RelationGetDescr(relation);
  Oid child = RelationGetRelid(relation);
  List *targetlist = outerPlanState(state)->plan->targetlist;
  client_attnum_ = client_column(parent_of(child), child).attnum;
  auto key = key_columns(relation, &table_, &owner_);
  for (size_t i = 0; i < key.size(); i++) {
    Form_pg_attribute a = TupleDescAttr(desc, key[i] - 1);
    std::string junk = junk_name(i);
    AttrNumber at = bridge::pg_call([&] { return ExecFindJunkAttributeInTlist(targetlist, junk.c_str()); });
    if (key[i] == client_attnum_) client_in_key_ = i;
    key_.push_back({NameStr(a->attname), a->atttypid, at});
  }
  std::vector<AttrNumber> all;
  for (int i = 0; i < desc->natts; i++) {
    if (TupleDescAttr(desc, i)->attisdropped) continue;
    if (returning_) returning_columns_.push_back(NameStr(TupleDescAttr(desc, i)->attname));
    all.push_back(static_cast<AttrNumber>(i + 1));
  }
  if (returning_) input_.emplace(desc, all);
  // One column tells whether a row was hit.
  if (!returning_) returning_columns_.push_back(key_[client_in_key_].name);
}

std::vector<ColumnValue> Forward::key_of(TupleTableSlot *plan_slot) const {
  std::vector<ColumnValue> out;
  for (const KeyColumn &k : key_) {
    bool null;
    Datum value = bridge::pg_call([&] { return ExecGetJunkAttribute(plan_slot, k.junk, &null); });
    if (null) bridge::raise_sqlstate(ERRCODE_NULL_VALUE_NOT_ALLOWED, "a row elsewhere has no key");
    out.push_back({k.name, text_of(k.type, value)});
  }
  return out;
}

const std::string &Forward::client_of(const std::vector<ColumnValue> &key) const { return *key[client_in_key_].value; }

void Forward::find(EState *estate, const std::string &client) {
  if (found_ && found_client_ == client) return;
  Whereabouts where = home_ ? find_at_homes({client}, estate->es_snapshot, true) : find_clients({client}, estate->es_snapshot, true);
  found_at_ = kNoNode;
  if (!where.cold.empty()) found_at_ = bridge::self_node();
  if (!where.homes.empty()) found_at_ = where.homes.begin()->first;
  if (found_at_ == kNoNode)
    bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "client \"" + client + "\" moved while the statement ran", "",
                           "Retry the transaction.");
  found_client_ = client;
  found_ = true;
}

template <class Statement>
bool Forward::run(EState *estate, TupleTableSlot *slot, const std::vector<ColumnValue> &key, Statement &&statement) {
  const std::string &client = client_of(key);
  find(estate, client);
  if (found_at_ == bridge::self_node()) {
    bring_back_here(client);
    return run_here(slot, statement(true));
  }
  if (!home_) hold_elsewhere(client);
  return run_at_home(slot, statement(false));
}

/// The asking role was allowed the change before, by the table's own rules; by those of a view it may have no rights here at all.
bool Forward::run_here(TupleTableSlot *slot, const std::string &sql) {
  bridge::Rows rows;
  {
    bridge::Spi spi;
    bridge::AsOwner rights(owner_);
    rows = spi.query(sql);
  }
  if (rows.empty()) return false;
  if (returning_)
    input_->store(slot, [&](int i) {
      return rows.null(0, static_cast<size_t>(i)) ? nullptr : rows.at(0, static_cast<size_t>(i)).c_str();
    });
  return true;
}

bool Forward::run_at_home(TupleTableSlot *slot, const std::string &sql) {
  Session &session = session_at(found_at_);
  session.will_write();
  bridge::PgResult r = session.run(sql);
  if (PQntuples(r.get()) == 0) return false;
  if (returning_)
    input_->store(slot, [&](int i) { return PQgetisnull(r.get(), 0, i) ? nullptr : PQgetvalue(r.get(), 0, i); });
  return true;
}

bool Forward::update(EState *estate, TupleTableSlot *slot, TupleTableSlot *plan_slot) {
  if (rel_->ri_WithCheckOptions != NIL)
    bridge::pg_call([&] { ExecWithCheckOptions(WCO_RLS_UPDATE_CHECK, rel_, slot, estate); });
  std::vector<ColumnValue> key, set;
  {
    StableOutput stable;
    key = key_of(plan_slot);
    for (AttrNumber a : targets_)
      set.push_back({NameStr(TupleDescAttr(slot->tts_tupleDescriptor, a - 1)->attname), text_of(slot, a)});
  }
  const std::string &client = client_of(key);
  for (size_t i = 0; i < targets_.size(); i++)
    if (targets_[i] == client_attnum_ && set[i].value != client)
      bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "a row that is on another node cannot be given to another client",
                             "The row belongs to client \"" + client + "\", which is not resident on this node.",
                             "Delete the row and insert it anew, or run the UPDATE where the client is resident.");
  return run(estate, slot, key, [&](bool only) { return update_statement(table_, only, set, key, returning_columns_); });
}

bool Forward::remove(EState *estate, TupleTableSlot *slot, TupleTableSlot *plan_slot) {
  std::vector<ColumnValue> key;
  {
    StableOutput stable;
    key = key_of(plan_slot);
  }
  return run(estate, slot, key, [&](bool only) { return delete_statement(table_, only, key, returning_columns_); });
}

}  // namespace vectorshard::read
