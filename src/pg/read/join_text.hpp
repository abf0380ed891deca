// Forms (quals.hpp) and joins as SQL for another node.
#pragma once
#include <string>
#include <vector>

#include "core/read/statements.hpp"
#include "pg/read/private.hpp"
extern "C" {
#include "utils/snapshot.h"
}

namespace vectorshard::read {

/// Forms as SQL, with the values of their parameters, or with $n if these are not known.
class FormText {
 public:
  FormText(List *context, bool known, List *values) : context_(context), known_(known), values_(values) {}
  std::vector<std::string> of(List *forms) const;

  /// The names of columns: of one table, `t`; of the leaves of a join, `t1` and so on.
  static List *of_table(Oid table);
  static List *of_leaves(List *leaves);

 private:
  List *context_;
  bool known_;
  List *values_;
};

/// What follows FROM for the join of `plan`, and the conditions behind it. Reference tables are read under `snapshot`; without (EXPLAIN)
/// their names stand for their rows.
void put_join(const ScanPlan &plan, const FormText &text, Snapshot snapshot, SelectSpec *spec);

}  // namespace vectorshard::read
