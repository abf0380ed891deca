// Shared memory: see shmem.hpp.
#include "pg/bridge/shmem.hpp"

#include <vector>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
}

namespace vectorshard::bridge {

namespace {

Shared *shared_memory = nullptr;
shmem_request_hook_type previous_request = nullptr;
shmem_startup_hook_type previous_startup = nullptr;

std::vector<Region> &regions() {
  static std::vector<Region> list;
  return list;
}

void request() {
  if (previous_request) previous_request();
  RequestAddinShmemSpace(MAXALIGN(sizeof(Shared)));
  for (const Region &r : regions()) RequestAddinShmemSpace(MAXALIGN(r.size()));
  RequestNamedLWLockTranche("vectorshard", 1);
}

void startup() {
  if (previous_startup) previous_startup();
  LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
  bool found;
  shared_memory = static_cast<Shared *>(ShmemInitStruct("vectorshard", sizeof(Shared), &found));
  if (!found) {
    memset(static_cast<void *>(shared_memory), 0, sizeof(Shared));
    shared_memory->lock = &GetNamedLWLockTranche("vectorshard")->lock;
    for (auto *u : {&shared_memory->node, &shared_memory->database, &shared_memory->clock_refused,
                    &shared_memory->doubt}) pg_atomic_init_u32(u, 0);
    for (auto *u : {&shared_memory->incarnation, &shared_memory->start_token, &shared_memory->clock_high_water, &shared_memory->clock_bound,
                    &shared_memory->eviction_epoch, &shared_memory->catalog_epoch, &shared_memory->decoded_lsn,
                    &shared_memory->confirmed_lsn, &shared_memory->tombstone_epoch})
      pg_atomic_init_u64(u, 0);
    for (auto &u : shared_memory->written_at_home_us) pg_atomic_init_u64(&u, 0);
  }
  for (const Region &r : regions()) {
    *r.where = ShmemInitStruct(r.name, r.size(), &found);
    if (!found) {
      memset(*r.where, 0, r.size());
      r.init(*r.where);
    }
  }
  LWLockRelease(AddinShmemInitLock);
}

}  // namespace

void register_region(const Region &region) { regions().push_back(region); }

void install_shmem_hooks() {
  previous_request = shmem_request_hook;
  shmem_request_hook = request;
  previous_startup = shmem_startup_hook;
  shmem_startup_hook = startup;
}

Shared *shared() { return shared_memory; }

void require_preloaded() {
  if (!shared_memory)
    raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "vectorshard is not preloaded", "",
                   "Add vectorshard to shared_preload_libraries and restart the server.");
}

int self_node() {
  if (!shared_memory || pg_atomic_read_u32(&shared_memory->database) != MyDatabaseId) return 0;
  return static_cast<int>(pg_atomic_read_u32(&shared_memory->node));
}

void wake(Worker worker) noexcept {
  if (!shared_memory) return;
  // A torn or stale pointer cannot occur: it is set under the lock and points into PGPROC, which never moves.
  Latch *latch = *const_cast<Latch *volatile *>(&shared_memory->latch[worker]);
  if (latch) SetLatch(latch);
}

void set_latch(Worker worker, Latch *latch) {
  LWLockAcquire(shared_memory->lock, LW_EXCLUSIVE);
  shared_memory->latch[worker] = latch;
  LWLockRelease(shared_memory->lock);
}

}  // namespace vectorshard::bridge
