// Shared memory of the ship stage: what the shipper tells other backends. Peers for the view ship_lag, and the
// transactions it has decoded that may not be visible yet. Never the only copy of anything.
#pragma once
#include "core/base/ids.hpp"
#include "core/ship/pgoutput.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "port/atomics.h"
}

namespace vectorshard::ship {

struct PeerStatus {
  int32 node;
  bool connected;
  uint64 queue_bytes;
  uint64 queue_rows;
  int64 oldest_commit_time;  // of what the peer has not acknowledged; 0: nothing
  uint64 oldest_commit;      // where it stands in the WAL
  char last_error[256];
};

constexpr int kMaxDecoded = 8192;

struct ShipShared {
  pg_atomic_uint64 debt_epoch;         // moves on whenever a debt is added
  pg_atomic_uint32 flush_wanted;       // 1: somebody waits until what was sent is durable at the peers
  pg_atomic_uint32 gathers;            // 1: the shipper looks for commits by itself in a moment; nobody need wake it
  int decoded_count;                   // guarded by bridge::shared()->lock, like all below
  TransactionId decoded[kMaxDecoded];  // decoded, perhaps not visible yet
  uint64 routed_lsn;  // every commit before it is acknowledged, in debt, or counted in `peers`
  int peer_count;
  PeerStatus peers[kNodeMax];
};

ShipShared *ship_shared();

/// The shipper: transactions are decoded and about to be routed. Waits while too many of them are invisible.
void publish_decoded(const std::vector<TransactionId> &xids);
/// True if every transaction decoded so far is visible to a new snapshot.
bool decoded_visible();
std::vector<PeerStatus> read_peer_status();
/// As read_peer_status, and up to where commits were routed when it was published.
std::vector<PeerStatus> read_peer_status(uint64 *routed_lsn);
/// The shipper: replaces what ship_lag shows. `routed_lsn`: no commit before it is anywhere but in the queues of `peers`,
/// acknowledged, or in debt.
void publish_peers(const std::vector<PeerStatus> &peers, uint64 routed_lsn);

}  // namespace vectorshard::ship
