// The table access method vectorshard_cold: a partition that is attached, has indexes (empty) and keys, and whose rows lie in a segment.
// Reads through StubRows; refuses every change of a row; never answers with fewer rows than the segment has.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/tableam.h"
#include "utils/relcache.h"
}

namespace vectorshard::tier {

/// The one routine of the access method.
const TableAmRoutine *stub_routine();
inline bool is_stub(Relation rel) { return rel->rd_tableam == stub_routine(); }
/// Oid of the access method; invalid if there is none in this database.
Oid stub_access_method();
/// True if the relation is a stub; false if it is gone. Inside pg_call.
bool is_stub(Oid relid);

/// Refuses to do `what` to a row or to the relation: 55000.
[[noreturn]] void refuse_stub(Relation rel, const char *what);

/// Slots for rows of stubs (stub_slot.cpp).
const TupleTableSlotOps *stub_slot_callbacks();

/// Callbacks for what is no reading and writing of rows (stub_storage.cpp).
void set_storage_callbacks(TableAmRoutine *am);

/// Hook for statements that stubs, and foreign tables of moved partitions, must refuse (stub_statements.cpp).
void init_stub_statements();

}  // namespace vectorshard::tier
