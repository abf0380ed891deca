// The launcher: see launcher.hpp. It has no database; all it knows of the fabric is the boot record. It must not exit
// while the server runs, and must not touch shared state other than identity and its own latch.
#include "pg/fabric/launcher.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/fabric/boot.hpp"
#include "pg/fabric/start.hpp"
extern "C" {
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
}

namespace vectorshard::fabric {

namespace {

constexpr long kRoundMs = 1000;

struct LauncherState {
  Latch *latch;
};
LauncherState *state = nullptr;

size_t region_size() { return sizeof(LauncherState); }

/// Runs in the postmaster, before any backend: after a start, or a crash restart, which empties shared memory, the file
/// tells who we are. A query must never run in between and take this database for a plain one.
void load_identity(void *) {
  char problem[256] = "";
  try {
    auto record = read_boot_record();
    if (!record.ok())
      strlcpy(problem, record.error().message.c_str(), sizeof problem);
    else if (record.value() && record.value()->node != kNoNode)
      adopt(*record.value(), false);
  } catch (const std::exception &e) {
    strlcpy(problem, e.what(), sizeof problem);
  }
  if (problem[0]) ereport(WARNING, (errmsg("vectorshard does not know which node this is: %s", problem)));
}

void forget_latch(int, Datum) { state->latch = nullptr; }

void round() {
  bridge::Shared *shared = bridge::shared();
  if (pg_atomic_read_u32(&shared->node) == 0) return;
  Oid database = pg_atomic_read_u32(&shared->database);
  bridge::pg_call([&] { bridge::start_workers(database); });
}

void loop() {
  for (;;) {
    CHECK_FOR_INTERRUPTS();
    if (ConfigReloadPending) {
      ConfigReloadPending = false;
      ProcessConfigFile(PGC_SIGHUP);
    }
    bridge::entry([] { round(); });
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kRoundMs, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
  }
}

}  // namespace

void register_launcher() {
  bridge::register_region({"vectorshard launcher", region_size, load_identity, reinterpret_cast<void **>(&state)});
  BackgroundWorker worker;
  memset(&worker, 0, sizeof worker);
  worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
  worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
  worker.bgw_restart_time = 5;
  strlcpy(worker.bgw_library_name, "vectorshard", sizeof worker.bgw_library_name);
  strlcpy(worker.bgw_function_name, "vectorshard_launcher_main", sizeof worker.bgw_function_name);
  strlcpy(worker.bgw_name, "vectorshard launcher", sizeof worker.bgw_name);
  strlcpy(worker.bgw_type, "vectorshard launcher", sizeof worker.bgw_type);
  RegisterBackgroundWorker(&worker);
}

void wake_launcher() noexcept {
  // The latch lies in PGPROC, which never moves: a stale pointer wakes a process that looks and finds nothing.
  Latch *latch = state ? *const_cast<Latch *volatile *>(&state->latch) : nullptr;
  if (latch) SetLatch(latch);
}

}  // namespace vectorshard::fabric

using namespace vectorshard;

extern "C" __attribute__((visibility("default"))) void vectorshard_launcher_main(Datum) {
  pqsignal(SIGHUP, SignalHandlerForConfigReload);
  pqsignal(SIGTERM, die);
  BackgroundWorkerUnblockSignals();
  BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);  // no database: to be seen in pg_stat_activity
  before_shmem_exit(fabric::forget_latch, 0);
  fabric::state->latch = MyLatch;
  bridge::entry([] { fabric::examine_start(); });
  fabric::loop();
}
