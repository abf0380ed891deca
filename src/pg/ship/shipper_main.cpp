// Entry of the worker "vectorshard shipper": keeps a Shipper while all goes well, throws it away after an error.
#include "pg/bridge/export.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/fabric/api.hpp"
#include "pg/ship/shipper.hpp"
#include "pg/ship/slot.hpp"
extern "C" {
#include "utils/guc.h"
}

namespace vectorshard::ship {

namespace {

// Not an object with a destructor: that would run when the process exits, after the server has freed what it points to.
Shipper *shipper = nullptr;

long shipper_round() {
  if (!fabric::certain()) {
    // Whatever this server was about to send is owed, if it turns out to be the node.
    delete std::exchange(shipper, nullptr);
    if (fabric::doubt() != fabric::Doubt::unexamined) Slot::drop();
    return fabric::settle_doubt();
  }
  try {
    if (!shipper) {
      shipper = new Shipper();
      shipper->start();
    }
    shipper->round();
  } catch (...) {
    delete std::exchange(shipper, nullptr);
    throw;
  }
  return 0;
}

/// Nobody else would ever move the slot on, and the WAL that it holds back would fill the disk.
void farewell() {
  delete std::exchange(shipper, nullptr);
  if (bridge::self_node() == kNoNode) Slot::drop();
}

}  // namespace

}  // namespace vectorshard::ship

using namespace vectorshard;

extern "C" __attribute__((visibility("default"))) void vectorshard_shipper_main(Datum) {
  static const bridge::WorkerSpec spec{bridge::kShipper, "vectorshard shipper", "vectorshard_shipper_main",
                                       ship::shipper_round, ship::farewell};
  // All its queries look up a few rows by key, by plans that are kept: one made while a table was small or had no
  // statistics would read all of it for every batch, and planning anew costs more than the rest.
  for (const char *setting : {"enable_seqscan", "enable_hashjoin", "enable_mergejoin"})
    SetConfigOption(setting, "off", PGC_SUSET, PGC_S_OVERRIDE);
  SetConfigOption("plan_cache_mode", "force_generic_plan", PGC_SUSET, PGC_S_OVERRIDE);
  bridge::run_worker(spec);
}
