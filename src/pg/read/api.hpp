// What other stages may ask of read: nothing but to be started.
#pragma once

namespace vectorshard::read {

/// Installs hooks. The executor's keeps plans from running in parallel while this transaction has changed rows at
/// other nodes: workers have sessions of their own there and would not see the changes. The analyzer's refuses MERGE into
/// vector-shard tables with a hint. The others are those of local_plan.hpp. Called once, at library load.
void init();

}  // namespace vectorshard::read
