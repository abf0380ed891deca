// How sessions at other nodes end with our transactions and savepoints.
#pragma once

namespace vectorshard::read {

/// Registers the callbacks; cheap after the first call.
void track_transactions();

}  // namespace vectorshard::read
