// What other stages may ask of fabric: whether this server is certainly the node that its boot record names. It is not
// while its data directory may be a copy or may come from the past (docs/architecture.md, "Starts and incarnations"):
// then nothing is stamped, shipped or answered for the node.
#pragma once
#include <cstdint>

#include "core/base/ids.hpp"
#include "core/ship/greeting.hpp"
#include "pg/bridge/shmem.hpp"

namespace vectorshard::fabric {

/// Why it is not certain.
enum class Doubt : uint32_t {
  none = 0,
  unexamined,  // the launcher has not looked at this start yet
  copied,      // the files of the data directory are not those of the last start
  timeline,    // another timeline than before
  past,        // a peer has heard more of this node than this server knows
  clone,       // another server answers under the address of this node
  removed,     // a peer says that this node was removed by force: others have its homes
};

inline Doubt doubt() { return static_cast<Doubt>(pg_atomic_read_u32(&bridge::shared()->doubt)); }
inline bool certain() { return doubt() == Doubt::none; }

/// Raises 55000 with the reason unless certain. Waits a few seconds for the launcher to look at a start.
void require_certain();

/// A peer does not believe this server: durable until the fabric has given a new incarnation. Outside a transaction, or
/// in one: the file does not wait for its end.
void enter_doubt(Doubt why);

/// The shipper's work while not certain: asks the fabric for a new incarnation and begins it. Outside a transaction.
/// Gives the milliseconds to wait before the next call.
long settle_doubt();

/// The starts of this incarnation, from the boot record; empty if there is none.
ship::StartChain own_starts();

/// When this transaction commits, this database is no node any more: its workers end, the shipper takes the slot with it.
void resign_at_commit();

/// The token of the server that answers under the address of `node` now; needs an open transaction. Errors: unreachable, denied.
Result<uint64_t> token_at(NodeId node);

}  // namespace vectorshard::fabric
