// Registers each stage's start-up part: shared-memory regions, hooks, workers. One line a stage, in stage order.
// Runs in the postmaster while it loads the library, so nothing here may connect, allocate much, or fail.
#include "pg/fabric/init.hpp"

#include "pg/fabric/launcher.hpp"
#include "pg/place/api.hpp"
#include "pg/ship/api.hpp"
#include "pg/telemetry/api.hpp"

namespace vectorshard::fabric {

void init() {
  telemetry::init();
  place::init_navigator();
  ship::init();
  register_launcher();
}

}  // namespace vectorshard::fabric
