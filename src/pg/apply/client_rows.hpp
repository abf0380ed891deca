// The rows of one client in one table, read through SPI under the active snapshot.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "pg/bridge/postgres.hpp"
#include "pg/bridge/tables.hpp"

namespace vectorshard::apply {

/// The vector-shard tables of this database (motion too), by name.
std::vector<bridge::EnrolledTable> client_tables();

/// Runs SELECT `what` over the rows of `client` in `table` alone (no children) under the active snapshot and calls
/// `row` with the values of each; they live until it returns. Memory is bounded.
void for_each_row(const bridge::EnrolledTable &table, std::string_view client, const std::string &what,
                  const std::function<void(const Datum *values)> &row);

}  // namespace vectorshard::apply
