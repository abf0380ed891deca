// The application's tables and their first rows.
#pragma once
#include <string>

#include "fleet.hpp"
#include "pg.hpp"

namespace vectorshard::demo {

/// Creates and enrolls the tables on the core node: two vector-shard tables, one reference table, and a store in the
/// directory `store_dir` for idle clients. The edge nodes get all of it when they join.
void create_tables(Connection &core, const std::string &store_dir);

/// Inserts the clients of a fleet at the core node: a profile and some tiles each, about 45 kB.
void load_fleet(Connection &core, const Fleet &fleet);

}  // namespace vectorshard::demo
