// A new incarnation of a node that is in doubt.
#pragma once

namespace vectorshard::fabric {

/// True in the process that is just beginning a new incarnation: it may stamp the rows that say so.
bool begins_new_life() noexcept;

}  // namespace vectorshard::fabric
