// UPDATE and DELETE of single rows that are not in the local heap, by primary key: at the client's home, in the
// transaction there that ends with ours; or here, if this node is the home and the client was cold.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/read/statements.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

/// Planner: asks for the key columns of the rows, under names of our own.
void add_key_targets(PlannerInfo *root, Index rtindex, Relation relation);

class Forward {
 public:
  /// `targets`: columns that the UPDATE sets, as attribute numbers of the child.
  Forward(ModifyTableState *state, ResultRelInfo *rel, const std::vector<AttrNumber> &targets);

  /// Changes the row whose key is in `plan_slot` to what is in `slot`. False: no such row any more. With RETURNING the
  /// slot then holds the row as it was stored.
  bool update(EState *estate, TupleTableSlot *slot, TupleTableSlot *plan_slot);
  /// Deletes it; with RETURNING the slot then holds the row as it was.
  bool remove(EState *estate, TupleTableSlot *slot, TupleTableSlot *plan_slot);

 private:
  struct KeyColumn {
    std::string name;
    Oid type;
    AttrNumber junk;  // position in the plan's tuples
  };
  std::vector<ColumnValue> key_of(TupleTableSlot *plan_slot) const;
  const std::string &client_of(const std::vector<ColumnValue> &key) const;
  void find(EState *estate, const std::string &client);
  template <class Statement>
  bool run(EState *estate, TupleTableSlot *slot, const std::vector<ColumnValue> &key, Statement &&statement);
  bool run_here(TupleTableSlot *slot, const std::string &sql);
  bool run_at_home(TupleTableSlot *slot, const std::string &sql);

  ResultRelInfo *rel_;
  bool home_;  // the table is of consistency home
  std::string table_;
  Oid owner_ = InvalidOid;
  std::vector<KeyColumn> key_;
  size_t client_in_key_ = 0;
  AttrNumber client_attnum_ = 0;
  std::vector<AttrNumber> targets_;
  bool returning_;
  std::vector<std::string> returning_columns_;
  std::optional<RowInput> input_;
  std::string found_client_;  // whose place is known: here (cold until now) or a home
  NodeId found_at_ = kNoNode;
  bool found_ = false;
};

}  // namespace vectorshard::read
