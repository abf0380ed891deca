// Dead letters: rows that could not be merged, kept with their bytes so that they can be merged later.
#pragma once
#include <string>

#include "core/ship/types.hpp"
#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// Records that `row` of `batch` was not merged (`kind`: dead_letter, future, too_old) with a batch of that row alone
/// as payload. The same row is recorded once.
void record_dead_letter(const ship::Batch &batch, const ship::Row &row, const std::string &key, const char *kind,
                        const std::string &reason);

/// A key in one text, "(a, b)".
std::string key_label(const std::vector<std::string> &key);

}  // namespace vectorshard::apply
