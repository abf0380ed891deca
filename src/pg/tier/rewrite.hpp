// Writing segments of clients anew: what still counts in them goes into one new object, without what does not.
#pragma once
#include <string>
#include <vector>

namespace vectorshard::tier {

/// Replaces segments of one table and store, all of this node, by one with their rows that count; rows of the client `without` (empty:
/// none) do not. The old ones are dead afterwards, and their objects still there. Outside a transaction, by the tiering worker alone.
/// Raises, having changed nothing: the objects are damaged, the store is away, the table is gone.
void rewrite_segments(const std::vector<std::string> &segments, const std::string &without);

/// Rewrites some segments for which it is worth it; gives how many were replaced. Outside a transaction, by the tiering worker.
/// Errors are logged, and wait.
int compact_segments();

}  // namespace vectorshard::tier
