// Work for the moment of commit: see at_commit.hpp. The callback only sets latches and counters; it must never raise.
#include "pg/bridge/at_commit.hpp"

#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::bridge {

namespace {

struct Pending {
  bool wake[kWorkerCount] = {};
  bool catalog = false;
};
Pending pending;

void move_catalog_epoch() { pg_atomic_fetch_add_u64(&shared()->catalog_epoch, 1); }

void on_transaction_end(XactEvent event, void *) {
  if (event == XACT_EVENT_COMMIT) {
    if (pending.catalog) move_catalog_epoch();
    for (int w = 0; w < kWorkerCount; w++)
      if (pending.wake[w]) wake(static_cast<Worker>(w));
  }
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) pending = {};
}

void hook() {
  static bool hooked = false;
  if (!hooked) pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
  hooked = true;
}

}  // namespace

void wake_at_commit(Worker worker) {
  hook();
  pending.wake[worker] = true;
}

void catalog_changed() {
  if (!shared()) return;
  hook();
  pending.catalog = true;
  move_catalog_epoch();
}

VECTORSHARD_FUNCTION(vectorshard_catalog_changed) {
  return entry([&]() -> Datum {
    catalog_changed();
    return PointerGetDatum(nullptr);
  });
}

}  // namespace vectorshard::bridge
