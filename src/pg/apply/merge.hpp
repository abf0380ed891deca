// Merging a batch, with what the rest of apply may choose about it.
#pragma once
#include <string>

#include "core/ship/types.hpp"

namespace vectorshard::apply {

enum class MergeMode {
  plain,    // any error of the database fails the batch
  careful,  // a row that fails alone becomes a dead letter
  retry,    // as careful, but nothing is recorded: the row is a dead letter already
};

/// Merges once, in the current (sub)transaction. `why` (may be null): the last reason for a row that was not merged.
ship::Reply merge_batch(const ship::Batch &batch, MergeMode mode, std::string *why);

}  // namespace vectorshard::apply
