// What this node remembers of the starts of its peers: invariant 10.
#pragma once

namespace vectorshard::ship {

/// Registers the shared region; from the postmaster's library load.
void register_heard_region();

}  // namespace vectorshard::ship
