// Statements whose clients are all here are planned without the child: half of what planning them would cost. Whether they still
// are is looked up when the plan is started, under the query's own snapshot, and if not it is planned again, with the child.
#pragma once

namespace vectorshard::read {

/// Installs the planner's hook and that of the executor's start. Called once, at library load.
void init_local_plans();

}  // namespace vectorshard::read
