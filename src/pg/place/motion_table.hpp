// The navigator's checkpoint: motion in the table `motion`, for restarts and for the node that serves the client next. Each call
// is a transaction of its own.
#pragma once
#include <vector>

#include "pg/telemetry/api.hpp"

namespace vectorshard::place {

/// Writes the motion of those whose rows are here. False: it failed, which is logged for those who debug, and nothing was written.
bool write_motion(const std::vector<const telemetry::Known *> &of);

/// The rows of a client may have come after its first report here, and its motion with them: what that tells of before goes on,
/// in `of` and in shared memory. Raises what PostgreSQL raises.
void take_history(const std::vector<telemetry::Known *> &of);

}  // namespace vectorshard::place
