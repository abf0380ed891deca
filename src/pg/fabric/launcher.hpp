// The launcher: a background worker that loads the boot record and keeps the fabric's workers running.
#pragma once

namespace vectorshard::fabric {

/// Registers the launcher and its shared memory; called in the postmaster.
void register_launcher();

/// Makes the launcher look at the identity again. Safe in commit callbacks.
void wake_launcher() noexcept;

}  // namespace vectorshard::fabric
