// The open transactions that hold a write lock on a table: those that a fence waits for.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "storage/lock.h"
}

namespace vectorshard::apply {

/// Appends the transactions, other than our own, that may write `relid`.
void collect_writers(Oid relid, std::vector<VirtualTransactionId> *out);
/// Appends those that may have locked rows of `relid` for others to wait (SELECT … FOR UPDATE).
void collect_row_lockers(Oid relid, std::vector<VirtualTransactionId> *out);
/// Whether any of them is still open. Drops those that have ended.
bool any_open(std::vector<VirtualTransactionId> *writers);
/// Waits until all of them have ended, visible to the deadlock detector.
void wait_for(const std::vector<VirtualTransactionId> &writers);

}  // namespace vectorshard::apply
