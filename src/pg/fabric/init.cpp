// Registers each stage's start-up part: shared-memory regions, hooks, workers. One line a stage, in stage order.
// Runs in the postmaster while it loads the library, so nothing here may connect, allocate much, or fail.
#include "pg/fabric/init.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/fabric/boot.hpp"
#include "pg/fabric/launcher.hpp"
#include "pg/place/api.hpp"
#include "pg/predict/api.hpp"
#include "pg/ship/api.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "catalog/objectaccess.h"
#include "catalog/pg_extension.h"
}

namespace vectorshard::fabric {

namespace {

object_access_hook_type previous_access = nullptr;

/// A node whose extension is dropped must let go of its slot, which would hold back WAL for ever.
void on_object_access(ObjectAccessType access, Oid class_id, Oid object, int sub, void *argument) {
  if (previous_access) previous_access(access, class_id, object, sub, argument);
  if (access != OAT_DROP || class_id != ExtensionRelationId) return;
  bridge::entry([&] { forget_at_commit(object); });
}

}  // namespace

void init() {
  previous_access = object_access_hook;
  object_access_hook = on_object_access;
  telemetry::init();
  predict::init();
  apply::init();
  place::init_navigator();
  ship::init();
  tier::init_stubs();
  register_launcher();
}

}  // namespace vectorshard::fabric
