// Start of the library in the postmaster: regions, hooks, the launcher.
#pragma once

namespace vectorshard::fabric {

/// Registers what every stage needs at server start. Called once, from _PG_init.
void init();

}  // namespace vectorshard::fabric
