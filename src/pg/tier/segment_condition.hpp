// Conditions of a query as conditions on a segment (core/tier/condition.hpp). Only what means exactly the same there is turned into one:
// comparisons of columns with values and with each other, IN, IS NULL, LIKE without escapes, AND, OR, NOT.
#pragma once
#include <optional>
#include <vector>

#include "core/tier/condition.hpp"
#include "pg/tier/segment_facts.hpp"
extern "C" {
#include "nodes/pg_list.h"
}

namespace vectorshard::tier {

/// A relation's columns in a segment, for making conditions.
class SegmentColumns {
 public:
  /// `desc` is not kept.
  SegmentColumns(const SegmentFacts &facts, TupleDesc desc);
  /// The manifest column of an attribute (from 1) whose values lie there as they are; -1: none.
  int at(int attnum) const;
  const ManifestColumn &column(int at) const { return columns_[static_cast<size_t>(at)]; }
  const Zone &zone(int at) const { return zones_[static_cast<size_t>(at)]; }

 private:
  std::vector<ManifestColumn> columns_;
  std::vector<Zone> zones_;
  std::vector<int> at_;
};

/// A boolean expression, whose columns are those of one relation and whose external parameters, from `first_param` on, are `values` (Consts;
/// NIL: not known yet), as a condition. None if it cannot be had with exactly this meaning. Raises.
std::optional<Condition> condition_of(Node *expression, const SegmentColumns &columns, int first_param, List *values);

}  // namespace vectorshard::tier
