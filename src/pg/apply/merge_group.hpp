// The rows of a batch that belong to one local table, ready to be merged: columns matched by name, one row a key, in
// key order. Holds copies of what it needs from the cache of enrolled tables, which may be refreshed meanwhile.
#pragma once
#include <string>
#include <vector>

#include "core/apply/rules.hpp"
#include "core/base/ids.hpp"
#include "core/ship/types.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/bridge/tables.hpp"

namespace vectorshard::apply {

constexpr const char *kTombstoneTable = "vectorshard.tombstone";
constexpr const char *kClientTable = "vectorshard.client";

/// A row of the batch in a group.
struct Item {
  const ship::Row *row = nullptr;
  std::string key;  // binary, for order and deduplication
  Rank rank;
};

/// A table to merge into, and its rows.
struct Group {
  bridge::EnrolledTable table;
  std::vector<size_t> source;  // for each of table.columns: its index in the batch's rows
  std::vector<size_t> key;     // for each key column: its index in table.columns
  std::vector<Item> items;

  bool tombstones() const { return table.name == kTombstoneTable; }
  bool clients() const { return table.name == kClientTable; }
  /// Rows of user tables and motion belong to clients; those of reference tables to none.
  bool sharded() const { return !table.reference; }
};

/// Whether the sender's table has the columns of the local one (generated ones apart), by name and type.
bool same_columns(const bridge::EnrolledTable &local, const ship::Table &remote);

/// A group without rows for `local`; `remote` has the same columns.
Group make_group(const bridge::EnrolledTable &local, const ship::Table &remote);

/// Adds a row of the batch.
void add_row(Group &group, const ship::Row &row);

/// Keeps the newest row of each key, in key order.
void keep_newest(Group &group);

/// The text of a value in a row of table vectorshard.tombstone and other tables with text columns; "" if null.
std::string text_value(const Group &group, const ship::Row &row, std::string_view column);
/// The value of a bigint or integer column of a row; 0 if null.
int64_t integer_value(const Group &group, const ship::Row &row, std::string_view column);

}  // namespace vectorshard::apply
