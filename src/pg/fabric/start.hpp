// Looking at a start of the server: is the data directory the one that was started last, or a copy of it?
#pragma once

namespace vectorshard::fabric {

/// The launcher's first work, once recovery is over: adds this start to the boot record, or enters doubt. Nothing is
/// stamped before it. Raises what PostgreSQL raises; a record that cannot be read or written leaves the start unexamined.
void examine_start();

}  // namespace vectorshard::fabric
