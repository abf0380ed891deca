// Replays a plan against the fabric, faster than real time: several threads, each with its share of the clients.
#pragma once
#include <string>

#include "fabric.hpp"
#include "fleet.hpp"
#include "outcome.hpp"

namespace vectorshard::demo {

struct ReplaySettings {
  double speed = 1;           // seconds of the trace per second
  size_t threads = 6;
  double write_every_s = 60;  // of the trace, for a client that moves
};

/// Runs to the end of the plan; throws Stopped when the user wants to stop.
Outcome replay(const Fabric &fabric, const Plan &plan, Fleet &fleet, const ReplaySettings &settings,
               const std::string &title);

}  // namespace vectorshard::demo
