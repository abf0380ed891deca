// Shared memory of the ship stage: see region.hpp. The commit callback runs at every commit of every backend: it only
// sets a latch, and must never raise.
#include "pg/ship/region.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/commit_wait.hpp"
#include "pg/ship/heard.hpp"
extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "storage/procarray.h"
}

namespace vectorshard::ship {

namespace {

ShipShared *region = nullptr;
constexpr int kPollMs = 1;

void init_region(void *memory) {
  auto *s = static_cast<ShipShared *>(memory);
  pg_atomic_init_u64(&s->debt_epoch, 0);
  pg_atomic_init_u32(&s->flush_wanted, 0);
  pg_atomic_init_u32(&s->gathers, 0);
}

bool came_from_peer = false;  // what the current transaction writes

/// A commit that wrote something has something to ship, most likely.
void on_transaction_end(XactEvent event, void *) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_PREPARE && event != XACT_EVENT_ABORT) return;
  bool nothing_to_ship = std::exchange(came_from_peer, false) || event == XACT_EVENT_ABORT;
  if (nothing_to_ship || !TransactionIdIsValid(GetTopTransactionIdIfAny()) || bridge::self_node() == 0) return;
  if (pg_atomic_read_u32(&region->gathers) == 0) bridge::wake(bridge::kShipper);
}

/// Forgets the transactions that have ended. Called with the lock held exclusively.
void prune(ShipShared *s) {
  int kept = 0;
  for (int i = 0; i < s->decoded_count; i++)
    if (TransactionIdIsInProgress(s->decoded[i])) s->decoded[kept++] = s->decoded[i];
  s->decoded_count = kept;
}

void nap() {
  bridge::pg_call([] {
    CHECK_FOR_INTERRUPTS();
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  });
}

}  // namespace

void init() {
  bridge::register_region({"vectorshard ship", [] { return sizeof(ShipShared); }, init_region,
                           reinterpret_cast<void **>(&region)});
  register_heard_region();
  RegisterXactCallback(on_transaction_end, nullptr);
  init_commit_wait();
}

ShipShared *ship_shared() { return region; }

void note_came_from_peer() { came_from_peer = true; }

void want_confirmed() {
  pg_atomic_write_u32(&region->flush_wanted, 1);
  bridge::wake(bridge::kShipper);
}

void publish_decoded(const std::vector<TransactionId> &xids) {
  for (size_t done = 0; done < xids.size();) {
    bridge::pg_call([&] {
      LWLockAcquire(bridge::shared()->lock, LW_EXCLUSIVE);
      prune(region);
      while (done < xids.size() && region->decoded_count < kMaxDecoded)
        region->decoded[region->decoded_count++] = xids[done++];
      LWLockRelease(bridge::shared()->lock);
    });
    if (done < xids.size()) nap();
  }
}

bool decoded_visible() {
  return bridge::pg_call([] {
    LWLockAcquire(bridge::shared()->lock, LW_EXCLUSIVE);
    prune(region);
    bool all = region->decoded_count == 0;
    LWLockRelease(bridge::shared()->lock);
    return all;
  });
}

void wait_decoded_visible() {
  bridge::require_preloaded();
  // Only what was decoded when we were called: later ones are routed by what the caller has committed before.
  std::vector<TransactionId> waiting(kMaxDecoded);
  int n = bridge::pg_call([&] {
    LWLockAcquire(bridge::shared()->lock, LW_EXCLUSIVE);
    prune(region);
    int count = region->decoded_count;
    std::copy(region->decoded, region->decoded + count, waiting.data());
    LWLockRelease(bridge::shared()->lock);
    return count;
  });
  // Not for their locks: a commit that waits for other nodes (commit_wait) can be seen and keeps them, until the shipper,
  // which may be who asks here, has answered it. What stands in the WAL is visible a moment later.
  for (int i = 0; i < n; i++)
    while (bridge::pg_call([&] { return TransactionIdIsInProgress(waiting[i]); })) nap();
}

void publish_peers(const std::vector<PeerStatus> &peers, uint64 routed_lsn) {
  int n = std::min(static_cast<int>(peers.size()), kNodeMax);
  bridge::pg_call([&] {
    LWLockAcquire(bridge::shared()->lock, LW_EXCLUSIVE);
    std::copy(peers.begin(), peers.begin() + n, region->peers);
    region->peer_count = n;
    region->routed_lsn = routed_lsn;
    LWLockRelease(bridge::shared()->lock);
  });
}

bool known_dead(NodeId node) {
  if (!region) return false;
  return bridge::pg_call([&] {
    LWLockAcquire(bridge::shared()->lock, LW_SHARED);
    const PeerStatus *end = region->peers + region->peer_count;
    const PeerStatus *peer = std::find_if(std::as_const(region->peers), end, [&](const PeerStatus &p) { return p.node == node; });
    bool dead = peer != end && !peer->connected && peer->last_error[0] != '\0';
    LWLockRelease(bridge::shared()->lock);
    return dead;
  });
}

std::vector<PeerStatus> read_peer_status() {
  uint64 routed_lsn;
  return read_peer_status(&routed_lsn);
}

std::vector<PeerStatus> read_peer_status(uint64 *routed_lsn) {
  std::vector<PeerStatus> out(kNodeMax);
  int n = bridge::pg_call([&] {
    LWLockAcquire(bridge::shared()->lock, LW_SHARED);
    std::copy(region->peers, region->peers + region->peer_count, out.begin());
    int count = region->peer_count;
    *routed_lsn = region->routed_lsn;
    LWLockRelease(bridge::shared()->lock);
    return count;
  });
  out.resize(static_cast<size_t>(n));
  return out;
}

}  // namespace vectorshard::ship
