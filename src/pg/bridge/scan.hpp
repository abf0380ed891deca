// Reading many rows in bounded memory: a cursor under the active snapshot, a portion at a time.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "pg/bridge/spi.hpp"

namespace vectorshard::bridge {

/// Runs a SELECT and calls `row` with the values and nulls of each row until it gives false. Values, and what `row`
/// allocates, live until it returns. Values stored out of line are fetched only when they are looked at. Names resolve as
/// in Spi; raises what PostgreSQL raises.
void scan(const std::string &sql, const std::vector<Param> &params,
          const std::function<bool(const Datum *values, const bool *nulls)> &row);

}  // namespace vectorshard::bridge
