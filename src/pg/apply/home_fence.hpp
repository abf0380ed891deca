// The fence of tables of consistency home: no row of them is written in the heap of a node that is not its client's home.
#pragma once
#include <string_view>

namespace vectorshard::apply {

/// Whether this node is the home of `client` and stays it until this transaction has ended: looked up under a fresh snapshot once per client
/// and transaction, and again when the eviction epoch moved. The caller holds RowExclusiveLock on the table: who moves the home away notes
/// that it asks another node, moves the epoch, and before both waits for those who held that lock.
bool writes_at_home(std::string_view client);

}  // namespace vectorshard::apply
