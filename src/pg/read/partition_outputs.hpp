// What a segment computes of its rows, from the expressions of a plan: columns, and halves of aggregates. Only what gives exactly the value
// that PostgreSQL would: no sums of floats, whose order counts, no order of text but that of C.
#pragma once
#include <optional>

#include "pg/read/private.hpp"
#include "pg/tier/api.hpp"

namespace vectorshard::read {

/// A column of the relation, or an aggregate of one, as forms have them (quals.hpp), whose parameters are `values` (NIL: not known yet). None if
/// it must be computed here.
std::optional<tier::SegmentOutput> segment_output(Node *form, const tier::SegmentColumns &columns, List *values);

/// True if rows that are grouped by this column there are grouped so here; `equality` is the operator.
bool groups_alike(Node *form, const tier::SegmentColumns &columns);
/// True if sorting by this column there is sorting by it here, in the order of C where it is text.
bool orders_alike(Node *form, const tier::SegmentColumns &columns);

}  // namespace vectorshard::read
