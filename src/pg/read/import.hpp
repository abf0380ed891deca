// IMPORT FOREIGN SCHEMA "folder" FROM SERVER of a store: a foreign table (role 'parquet') for each Parquet file directly in the folder, or one for all of them
// where they have the same columns.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "foreign/fdwapi.h"
}

namespace vectorshard::read {

/// The callback: statements that make the tables.
List *import_schema(ImportForeignSchemaStmt *statement, Oid server);

}  // namespace vectorshard::read
