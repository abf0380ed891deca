// The fence of tables of consistency home: no row of them is written in the heap of a node that is not its client's home.
#pragma once
#include <string_view>

namespace vectorshard::apply {

/// Whether this node is the home of `client` and stays it until this transaction has ended: looked up under a fresh snapshot once per client
/// and transaction. The caller holds RowShareLock or RowExclusiveLock on the table: who moves the home away waits for those who hold it, after
/// the leaving mark can be seen and before it asks another node.
bool writes_at_home(std::string_view client);

}  // namespace vectorshard::apply
