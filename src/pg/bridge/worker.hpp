// The frame of every background worker: connect, latch, loop, errors, restart. A stage gives a `round` function.
// An error in a round is logged, the transaction aborted, and the round tried again after a back-off; the worker never
// exits because a peer or a store is down, only when this database stops to be the node it was started for.
#pragma once
#include "pg/bridge/shmem.hpp"

namespace vectorshard::bridge {

struct WorkerSpec {
  Worker which;
  const char *name;        // as pg_stat_activity shows it: "vectorshard shipper"
  const char *entry;       // exported C function name
  /// One round of work, outside a transaction. Gives the milliseconds to wait on the latch before the next round
  /// (0: at once). May use WorkerTransaction. Raises PgError/exceptions freely.
  long (*round)();
  /// What is left to do when this database stops to be a node (its extension was dropped), before the worker exits; may
  /// be null. Outside a transaction.
  void (*farewell)() = nullptr;
  /// What to save when the server is shut down (SIGTERM), before the worker exits; may be null. Takes seconds at most, for
  /// the server waits for it. Outside a transaction.
  void (*save)() = nullptr;
};

/// The body of a worker's exported entry function: never returns but by proc_exit.
void run_worker(const WorkerSpec &spec);

/// Called by the launcher for the fabric's database: starts the workers that are not running.
void start_workers(Oid database);

}  // namespace vectorshard::bridge
