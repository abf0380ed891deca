// Entry of the worker "vectorshard shipper": keeps a Shipper while all goes well, throws it away after an error.
#include "pg/bridge/export.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/ship/shipper.hpp"

namespace vectorshard::ship {

namespace {

constexpr long kNotAMemberMs = 1000;

long shipper_round() {
  // Not an object with a destructor: that would run when the process exits, after the server has freed what it points to.
  static Shipper *shipper = nullptr;
  if (bridge::self_node() == kNoNode) return kNotAMemberMs;
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

}  // namespace

}  // namespace vectorshard::ship

using namespace vectorshard;

extern "C" __attribute__((visibility("default"))) void vectorshard_shipper_main(Datum) {
  static const bridge::WorkerSpec spec{bridge::kShipper, "vectorshard shipper", "vectorshard_shipper_main",
                                       ship::shipper_round};
  bridge::run_worker(spec);
}
