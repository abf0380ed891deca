// Waiting commits: see commit_wait.hpp. One place for each backend, guarded by a spinlock of its own. The callback runs
// when the transaction has committed: an error there would be a PANIC, so nothing in it may raise.
#include "pg/ship/commit_wait.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "access/xact.h"
#include "access/xlog.h"
#include "pgstat.h"
#include "storage/backendid.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

enum class State : uint8 { idle, waiting, reached, owed };

struct Waiter {
  slock_t mutex;  // guards what follows
  State state;
  bool seen;  // the shipper has decoded it and will answer
  uint8 level;
  uint32 holders;
  TransactionId xid;
  XLogRecPtr commit_end;  // 0: not committed yet
  int pgprocno;
  int32 peer;       // owed: by whom it was not taken; 0: not known
  char client[64];  // owed
};

struct Waiters {
  pg_atomic_uint32 count;  // backends that wait
  int places;
  Waiter waiter[FLEXIBLE_ARRAY_MEMBER];
};
Waiters *region = nullptr;

size_t region_bytes() { return offsetof(Waiters, waiter) + sizeof(Waiter) * static_cast<size_t>(MaxBackends); }

void init_region(void *memory) {
  auto *w = static_cast<Waiters *>(memory);
  pg_atomic_init_u32(&w->count, 0);
  w->places = MaxBackends;
  for (int i = 0; i < w->places; i++) SpinLockInit(&w->waiter[i].mutex);
}

LocalTransactionId wrote_in = InvalidLocalTransactionId;  // the transaction that wrote rows of enrolled tables
bool registered = false;

Waiter *mine() { return &region->waiter[MyBackendId - 1]; }

bool must_wait() {
  return bridge::guc::durability != static_cast<int>(DurabilityLevel::local) && wrote_in != InvalidLocalTransactionId &&
         wrote_in == MyProc->lxid && MyBackendType == B_BACKEND && bridge::self_node() != 0 &&
         TransactionIdIsValid(GetTopTransactionIdIfAny());
}

void enter() {
  Waiter *w = mine();
  SpinLockAcquire(&w->mutex);
  w->state = State::waiting;
  w->seen = false;
  w->level = static_cast<uint8>(bridge::guc::durability);
  w->holders = static_cast<uint32>(bridge::guc::quorum_holders);
  w->xid = GetTopTransactionIdIfAny();
  w->commit_end = 0;
  w->pgprocno = MyProc->pgprocno;
  SpinLockRelease(&w->mutex);
  pg_atomic_fetch_add_u32(&region->count, 1);
  registered = true;
}

void leave() {
  if (!registered) return;
  Waiter *w = mine();
  SpinLockAcquire(&w->mutex);
  w->state = State::idle;
  SpinLockRelease(&w->mutex);
  pg_atomic_fetch_sub_u32(&region->count, 1);
  registered = false;
}

/// The rest of the sentence: what the client knows, and what it does not.
void warn(const char *why) {
  ereport(WARNING,
          (errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN), errmsg("%s", why),
           errdetail("The transaction is committed on this node. Whether other nodes have it is not known; they will get it.")));
}

/// True when the shipper has answered.
bool take_answer() {
  Waiter *w = mine();
  SpinLockAcquire(&w->mutex);
  State state = w->state;
  int peer = w->peer;
  char client[sizeof w->client];
  memcpy(client, w->client, sizeof client);
  SpinLockRelease(&w->mutex);
  if (state == State::owed)
    ereport(WARNING,
            (errcode(ERRCODE_TRANSACTION_RESOLUTION_UNKNOWN),
             errmsg("the commit does not have the durability that was asked for"),
             client[0] ? (peer ? errdetail("The transaction is committed on this node. Client \"%s\" is owed to node %d.", client, peer)
                               : errdetail("The transaction is committed on this node. Client \"%s\" has not that many other holders, or its home is not known.", client))
                       : errdetail("The transaction is committed on this node. Rows without a client are not on that many other nodes.")));
  return state != State::waiting;
}

/// True if the waiting is to end.
bool interrupted() {
  if (ProcDiePending) {
    warn("the wait for other nodes ends with the connection");
    whereToSendOutput = DestNone;  // the client must not take it for acknowledged
    return true;
  }
  if (QueryCancelPending) {
    QueryCancelPending = false;
    warn("the wait for other nodes was canceled by the user");
    return true;
  }
  return false;
}

/// As SyncRepWaitForLSN waits. Interrupts are held; the latch is ours.
void wait_for_answer() {
  Waiter *w = mine();
  SpinLockAcquire(&w->mutex);
  w->commit_end = XactLastCommitEnd;
  SpinLockRelease(&w->mutex);
  XLogFlush(XactLastCommitEnd);  // nothing is shipped before; with synchronous_commit = off it may not be yet
  bridge::wake(bridge::kShipper);
  int timeout_ms = bridge::guc::durability_timeout_ms;
  TimestampTz deadline = TimestampTzPlusMilliseconds(bridge::steady_us(), timeout_ms);
  while (!take_answer() && !interrupted()) {
    long left_ms = timeout_ms > 0 ? TimestampDifferenceMilliseconds(bridge::steady_us(), deadline) : 60000;
    if (left_ms <= 0) return warn("other nodes did not acknowledge the commit within vectorshard.durability_timeout_ms");
    int rc = WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_POSTMASTER_DEATH, left_ms, PG_WAIT_EXTENSION);
    if (rc & WL_POSTMASTER_DEATH) {
      ProcDiePending = true;
      whereToSendOutput = DestNone;
      return;
    }
    if (rc & WL_LATCH_SET) ResetLatch(MyLatch);
  }
}

void on_transaction_end(XactEvent event, void *) {
  switch (event) {
    case XACT_EVENT_PRE_COMMIT:
      if (must_wait()) enter();
      break;
    case XACT_EVENT_COMMIT:
      if (registered) wait_for_answer();
      leave();
      break;
    case XACT_EVENT_ABORT: case XACT_EVENT_PREPARE:
      leave();
      break;
    default: break;
  }
}

/// ASCII only: a name that the client's encoding does not have would make an error of a warning, after the commit.
void set_name(Waiter &w, const ClientName &client) {
  size_t n = std::min(client.size(), sizeof w.client - 1);
  for (size_t i = 0; i < n; i++) w.client[i] = client[i] >= 0x20 && client[i] < 0x7f ? client[i] : '?';
  w.client[n] = '\0';
}

/// Calls `f` for each waiter, its lock held.
template <class F>
void for_each_waiting(F f) {
  if (!commits_wait()) return;
  for (int i = 0; i < region->places; i++) {
    Waiter &w = region->waiter[i];
    SpinLockAcquire(&w.mutex);
    Latch *latch = w.state == State::waiting && f(w) ? &ProcGlobal->allProcs[w.pgprocno].procLatch : nullptr;
    SpinLockRelease(&w.mutex);
    if (latch) SetLatch(latch);
  }
}

}  // namespace

void init_commit_wait() {
  bridge::register_region({"vectorshard commits", region_bytes, init_region, reinterpret_cast<void **>(&region)});
  RegisterXactCallback(on_transaction_end, nullptr);
}

void note_row_written() { wrote_in = MyProc->lxid; }

bool commits_wait() { return pg_atomic_read_u32(&region->count) > 0; }

std::optional<Demand> demand_of(TransactionId xid) {
  Demand demand;
  bool found = false;
  for_each_waiting([&](Waiter &w) {
    if (w.xid != xid) return false;
    w.seen = found = true;
    demand = {static_cast<DurabilityLevel>(w.level), w.holders};
    return false;
  });
  return found ? std::optional<Demand>(demand) : std::nullopt;
}

void answer(const Verdict &verdict) {
  for_each_waiting([&](Waiter &w) {
    if (w.xid != verdict.key) return false;
    w.state = verdict.reached ? State::reached : State::owed;
    w.peer = verdict.peer;
    set_name(w, verdict.client);
    return true;
  });
}

void answer_unseen(Lsn read_to) {
  for_each_waiting([&](Waiter &w) {
    if (w.seen || w.commit_end == 0 || w.commit_end > read_to) return false;
    w.state = State::reached;
    return true;
  });
}

}  // namespace vectorshard::ship
