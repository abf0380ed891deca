// The same reports through vectorshard-sim: what the policy does where copies take a fixed time and nothing else is in the way.
// A fabric that does much worse than this has a fault.
#pragma once
#include "fabric.hpp"
#include "plan.hpp"

namespace vectorshard::demo {

struct Simulated {
  double copy_s = 0;  // of the trace: the usual time from asking for a copy to having it, as the fabric has it on record
  size_t moves = 0;
  double hit_ratio = 0, surplus = 0;
};

/// `speed`: seconds of the trace per second. Reads the fabric's tables at the core node.
Simulated simulate(const Fabric &fabric, const Plan &plan, double speed);

}  // namespace vectorshard::demo
