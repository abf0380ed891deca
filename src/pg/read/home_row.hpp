// One row of a table of consistency home on its way to the home: INSERT, with or without ON CONFLICT, in the transaction there that ends with ours.
#pragma once
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/read/statements.hpp"
#include "pg/read/row_text.hpp"
extern "C" {
#include "nodes/execnodes.h"
#include "utils/rel.h"
}

namespace vectorshard::read {

class HomeRow {
 public:
  /// What it keeps lives in the current memory context.
  explicit HomeRow(Relation relation);

  /// Writes the row in `slot` at `home`; then the slot has it as it is stored. False: there is a row with its key, and that is left alone.
  bool insert(NodeId home, TupleTableSlot *slot, bool or_nothing);
  /// The same; a row with its key is changed as ON CONFLICT DO UPDATE of the statement says (`columns`: which it sets). Raises for a row that
  /// this object has written before: it is of one statement.
  bool insert_or_update(NodeId home, TupleTableSlot *slot, ResultRelInfo *rel, EState *estate, List *columns);

 private:
  std::vector<ColumnValue> values(TupleTableSlot *slot, const std::vector<AttrNumber> &columns) const;
  bool run(NodeId home, TupleTableSlot *slot, const std::string &sql);
  bool update(NodeId home, TupleTableSlot *slot, ResultRelInfo *rel, EState *estate, List *columns, const std::vector<ColumnValue> &key);

  std::string table_;
  TupleDesc desc_;
  std::vector<AttrNumber> key_, written_;   // `written_`: neither generated nor the version
  std::vector<std::string> returned_;       // the names of all columns
  RowInput input_;
  std::set<std::string> hit_;               // keys of rows that insert_or_update() has written
};

}  // namespace vectorshard::read
