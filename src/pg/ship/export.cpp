// The full state of a client as one batch: for a first copy, and for the last word of a copy that is let go. Read under
// the active snapshot. A client that is not resident under it would export as "no rows", so callers check that.
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/walk.hpp"

namespace vectorshard::ship {

Batch export_client(std::string_view client, BatchKind kind) {
  bridge::require_preloaded();
  Batch batch = start_batch(kind, client);
  Walk walk(std::string(client), {});
  walk.fill(batch, {SIZE_MAX, SIZE_MAX});
  if (!walk.left_out().empty())
    bridge::raise({Errc::no_space, "client \"" + std::string(client) + "\" cannot be copied",
                   "It cannot travel: " + walk.left_out() + ".", "Split the row's values."});
  return batch;
}

}  // namespace vectorshard::ship
