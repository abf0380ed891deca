// What must happen when the current transaction commits, and only then: workers woken, caches told.
#pragma once
#include "pg/bridge/shmem.hpp"

namespace vectorshard::bridge {

/// Wakes `worker` after the commit of this transaction.
void wake_at_commit(Worker worker);
/// Moves the catalog epoch now (for this session) and again after the commit (for the others).
void catalog_changed();

}  // namespace vectorshard::bridge
