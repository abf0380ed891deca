// The statements with which a group is merged, as text; kept plans are keyed by it.
#pragma once
#include <string>

#include "pg/apply/merge_group.hpp"

namespace vectorshard::apply {

/// INSERT ... SELECT from batch_rows() ... ON CONFLICT DO UPDATE WHERE newer. Columns whose values merge are merged
/// whatever is newer, and a row is written too if that changes something.
std::string upsert_sql(const Group &group);
/// (position in batch_rows(), version here) of the rows of batch_rows() that exist here.
std::string versions_sql(const Group &group);
/// As versions_sql, of rows whose columns that do not merge differ; empty if the table has no such columns.
std::string differing_sql(const Group &group);
/// UPDATE by key ($1 text[]) that ends values which merge and were born before $2; empty if the table has none.
std::string end_sql(const bridge::EnrolledTable &table);
/// DELETE by key ($1 text[]) of a row older than $2.
std::string remove_sql(const bridge::EnrolledTable &table);
/// UPDATE by key ($1 text[]) of the row of version $2: its version becomes the next.
std::string raise_sql(const bridge::EnrolledTable &table);

}  // namespace vectorshard::apply
