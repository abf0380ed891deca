// Rows whose keys are all new here, put into their table together: as the upsert would, at less cost a row.
#pragma once
#include <vector>

#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// Inserts the rows (arrays of Datums in the order of the group's columns, no two with one key) if none of their keys is
/// here and the table has nothing that only a statement does (triggers, rules, generated columns, row security for its
/// owner). Otherwise does nothing and gives false. As the table's owner, in role replica, under our origin, like the
/// upsert. Raises unique_violation if a key came meanwhile: call it inside a subtransaction, and upsert after that.
bool insert_absent(const Group &group, const std::vector<Datum *> &values, const std::vector<bool *> &nulls);

}  // namespace vectorshard::apply
