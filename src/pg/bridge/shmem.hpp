// Shared memory of the extension: who we are, the clock, the latches of the workers, and one region for each stage.
// Each stage declares its region (size, init) in module.cpp through Region; nobody else allocates shared memory.
// After a crash restart the postmaster makes it anew, so nothing here may be the only copy of anything.
#pragma once
#include <cstddef>
#include <cstdint>
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "port/atomics.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
}

namespace vectorshard::bridge {

/// The workers, by the name they carry in pg_stat_activity ("vectorshard shipper").
enum Worker { kShipper, kNavigator, kHolder, kTiering, kWorkerCount };

/// Clients share so many places of Shared::written_at_home_us.
constexpr int kWrittenPlaces = 1024;

struct Shared {
  LWLock *lock;  // guards the plain fields below
  // Identity, loaded from the boot record by the launcher and by create_fabric/join_fabric. node 0: not in a fabric.
  pg_atomic_uint32 node;
  pg_atomic_uint32 database;      // Oid of the database that is the fabric member
  pg_atomic_uint64 incarnation;
  pg_atomic_uint32 doubt;        // fabric::Doubt: not 0 while it is not certain that this server is that node
  pg_atomic_uint64 start_token;  // drawn at this start; 0: the start is not examined yet
  // Version clock (pg/apply/clock.cpp).
  pg_atomic_uint64 clock_high_water;  // largest version given or seen
  pg_atomic_uint64 clock_bound;       // versions up to here are covered by the file on disk
  pg_atomic_uint32 clock_refused;     // 1: peers found our clock too far off (ship's handshake): nothing is stamped
  // Moves on after each tombstone is stamped or received: an INSERT that saw none since need not look for one.
  pg_atomic_uint64 tombstone_epoch;
  // Moves on whenever a client starts leaving this node: writers that checked residency before check again.
  pg_atomic_uint64 eviction_epoch;
  // Moves on whenever enrolled tables or nodes change: caches keyed by it are stale.
  pg_atomic_uint64 catalog_epoch;
  Latch *latch[kWorkerCount];  // null while the worker is not running; guarded by lock
  // The shipper's position, for waiting until every decoded transaction is visible and for ship_lag.
  pg_atomic_uint64 decoded_lsn;
  pg_atomic_uint64 confirmed_lsn;
  pg_atomic_uint64 written_at_home_us[kWrittenPlaces];  // see written_at_home.hpp
};

/// A stage's own shared region.
struct Region {
  const char *name;
  size_t (*size)();             // called in the postmaster, after the settings are known
  void (*init)(void *memory);   // called once, zero-filled memory
  void **where;                 // set in every process
};

/// Registers hooks; call from _PG_init for every stage, then once install_hooks().
void register_region(const Region &region);
void install_shmem_hooks();

/// Never null in a server that preloaded the library.
Shared *shared();
/// Raises with a hint if the library was not preloaded.
void require_preloaded();

/// This node's number, 0 if this database is not a fabric member.
int self_node();

/// Wakes a worker, if it runs. Cheap; safe in commit callbacks (does not throw).
void wake(Worker worker) noexcept;
/// Called by a worker at start, and at exit with null.
void set_latch(Worker worker, Latch *latch);

}  // namespace vectorshard::bridge
