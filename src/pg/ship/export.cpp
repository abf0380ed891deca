// The full state of a client as one batch: for a first copy, and for the last word of a copy that is let go. Read under
// the active snapshot. A client that is not resident under it would export as "no rows", so callers check that.
#include "pg/bridge/shmem.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/walk.hpp"

namespace vectorshard::ship {

Batch export_client(std::string_view client, BatchKind kind) {
  bridge::require_preloaded();
  Batch batch = start_batch(kind, client);
  Walk(std::string(client), {}).fill(batch, {SIZE_MAX, SIZE_MAX});
  return batch;
}

}  // namespace vectorshard::ship
