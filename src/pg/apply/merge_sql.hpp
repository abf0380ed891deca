// The statements with which a group is merged, as text; kept plans are keyed by it.
#pragma once
#include <string>

#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// INSERT ... SELECT from batch_rows() ... ON CONFLICT DO UPDATE WHERE newer.
std::string upsert_sql(const Group &group);
/// (position in batch_rows(), version here) of the rows of batch_rows() that exist here.
std::string versions_sql(const Group &group);
/// DELETE by key ($1 text[]) of a row older than $2.
std::string remove_sql(const bridge::EnrolledTable &table);

}  // namespace vectorshard::apply
