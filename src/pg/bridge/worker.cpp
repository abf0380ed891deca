// The frame of every background worker: see worker.hpp.
#include "pg/bridge/worker.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
extern "C" {
#include "access/xact.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
}

namespace vectorshard::bridge {

namespace {

struct Known {
  Worker which;
  const char *name;
  const char *entry;
};

// In the order in which they start. `entry` is exported by the stage.
constexpr Known kKnown[] = {
    {kShipper, "vectorshard shipper", "vectorshard_shipper_main"},
    {kHolder, "vectorshard holder", "vectorshard_holder_main"},
    {kNavigator, "vectorshard navigator", "vectorshard_navigator_main"},
    {kTiering, "vectorshard tiering", "vectorshard_tiering_main"},
};

Worker current_worker;

void forget_latch(int, Datum) { set_latch(current_worker, nullptr); }

/// False if it failed (logged, transaction aborted).
template <class Work>
bool guarded(const WorkerSpec &spec, Work work) {
  char message[512] = "";
  char state[8] = "";
  try {
    work();
    return true;
  } catch (const PgError &e) {
    strlcpy(message, e.what(), sizeof message);
    strlcpy(state, unpack_sql_state(e.sqlstate), sizeof state);
  } catch (const std::exception &e) {
    strlcpy(message, e.what(), sizeof message);
  } catch (...) {
    strlcpy(message, "unknown C++ exception", sizeof message);
  }
  AbortOutOfAnyTransaction();
  ereport(LOG, (errmsg("%s: %s", spec.name, message), state[0] ? errdetail("SQLSTATE %s.", state) : 0));
  return false;
}

/// False when the extension was dropped, and also when it was made anew since this worker started.
bool still_this_node(uint64_t incarnation) {
  return pg_atomic_read_u32(&shared()->node) != 0 && pg_atomic_read_u64(&shared()->incarnation) == incarnation;
}

volatile sig_atomic_t saving = false;

/// SIGTERM for a worker that saves something first: its round is cancelled, not the process, however often the signal comes.
void on_terminate(SIGNAL_ARGS) {
  int saved = errno;
  ShutdownRequestPending = true;
  if (!saving) {
    QueryCancelPending = true;
    InterruptPending = true;
  }
  SetLatch(MyLatch);
  errno = saved;
}

void save_and_exit(const WorkerSpec &spec) {
  saving = true;
  QueryCancelPending = false;
  if (spec.save) guarded(spec, spec.save);
  proc_exit(0);
}

void say_farewell(const WorkerSpec &spec) {
  bridge::entry([&] {
    if (spec.farewell) spec.farewell();
  });
}

constexpr long kFirstBackOffMs = 100, kMostBackOffMs = 10000;
constexpr long kDoubtMs = 100;
constexpr long kDeafMs = 1000;  // of a back-off: how long nothing but a signal ends it, or whoever wakes us floods the log

void wait_latch(long wait_ms) {
  WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, wait_ms, PG_WAIT_EXTENSION);
  ResetLatch(MyLatch);
}

void back_off(long wait_ms) {
  TimestampTz deaf_until = TimestampTzPlusMilliseconds(steady_us(), Min(wait_ms, kDeafMs));
  for (;;) {
    long left_ms = TimestampDifferenceMilliseconds(steady_us(), deaf_until);
    if (left_ms <= 0) break;
    wait_latch(left_ms);
    if (ShutdownRequestPending) return;
    CHECK_FOR_INTERRUPTS();
  }
  if (wait_ms > kDeafMs) wait_latch(wait_ms - kDeafMs);
}

void loop(const WorkerSpec &spec) {
  uint64_t incarnation = pg_atomic_read_u64(&shared()->incarnation);
  MemoryContext round_context =
      AllocSetContextCreate(TopMemoryContext, "vectorshard worker round", ALLOCSET_DEFAULT_SIZES);
  long back_off_ms = 0;
  for (;;) {
    if (ShutdownRequestPending) save_and_exit(spec);
    // The cancellation by on_terminate() may come just now.
    if (!guarded(spec, [] { pg_call([] { CHECK_FOR_INTERRUPTS(); }); })) continue;
    if (!still_this_node(incarnation)) {
      say_farewell(spec);
      proc_exit(0);
    }
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    // Only the shipper works while it is not certain which node this is: it asks the fabric.
    if (spec.which != kShipper && pg_atomic_read_u32(&shared()->doubt) != 0) {
      wait_latch(kDoubtMs);
      continue;
    }
    MemoryContextSwitchTo(round_context);
    long wait_ms = 0;
    bool ok = guarded(spec, [&] { wait_ms = spec.round(); });
    MemoryContextSwitchTo(TopMemoryContext);
    MemoryContextReset(round_context);
    back_off_ms = ok ? 0 : Min(back_off_ms ? back_off_ms * 2 : kFirstBackOffMs, kMostBackOffMs);
    if (!ok)
      back_off(back_off_ms);
    else if (wait_ms > 0)
      wait_latch(wait_ms);
  }
}

bool running(Worker which) {
  LWLockAcquire(shared()->lock, LW_SHARED);
  bool there = shared()->latch[which] != nullptr;
  LWLockRelease(shared()->lock);
  return there;
}

/// The worker's slot; null: it could not be registered.
BackgroundWorkerHandle *start(const Known &known, Oid database) {
  BackgroundWorker worker;
  memset(&worker, 0, sizeof worker);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = BGW_NEVER_RESTART;  // the launcher restarts it: a slot that stopped is free
  worker.bgw_main_arg = ObjectIdGetDatum(database);
  strlcpy(worker.bgw_library_name, "vectorshard", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, known.entry, sizeof worker.bgw_function_name);
  strlcpy(worker.bgw_name, known.name, sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, known.name, sizeof worker.bgw_type);
  BackgroundWorkerHandle *handle = nullptr;
  MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);
  bool registered = RegisterDynamicBackgroundWorker(&worker, &handle);
  MemoryContextSwitchTo(before);
  if (!registered)
    ereport(WARNING, (errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("could not start %s", known.name),
                      errhint("Raise max_worker_processes.")));
  return handle;
}

}  // namespace

void run_worker(const WorkerSpec &spec) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, spec.save ? on_terminate : die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(MyBgworkerEntry->bgw_main_arg), InvalidOid, 0);
  current_worker = spec.which;
  if (running(spec.which)) proc_exit(0);
  before_shmem_exit(forget_latch, 0);
  set_latch(spec.which, MyLatch);
  pgstat_report_appname(spec.name);
  loop(spec);
}

void start_workers(Oid database) {
  static BackgroundWorkerHandle *slot[kWorkerCount];
  for (const Known &known : kKnown) {
    BackgroundWorkerHandle *&handle = slot[known.which];
    pid_t pid;
    if (running(known.which) || (handle && GetBackgroundWorkerPid(handle, &pid) != BGWH_STOPPED)) continue;
    if (handle) pfree(handle);
    handle = start(known, database);
  }
}

}  // namespace vectorshard::bridge
