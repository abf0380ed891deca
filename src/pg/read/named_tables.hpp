// Which vector-shard tables of a statement are named their clients by constants and parameters, before it is planned. Plain C inside: may ereport.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "nodes/parsenodes.h"
}

namespace vectorshard::read {

/// The clients (Const, not null, or an immutable expression over parameters of the statement; of one client or an array of
/// clients) that conditions name which every row of the result must meet, if they name those of every
/// vector-shard table of the statement that has its child beside it and nothing else; `tables` gets the entries of these in the range
/// table. NIL: not all are named, or there is none. The query is not changed.
List *clients_of(Query *query, List **tables);

}  // namespace vectorshard::read
