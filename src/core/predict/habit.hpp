// A client's own habits: an order-2 Markov chain over the nodes that served it, with the ends of its sessions as outcomes and how
// long it stayed, backing off to order 1. It tells best what comes long after the present report, where speed and heading
// tell nothing any more. No clock, no locks; the memory is the client's motion.
#pragma once
#include <vector>

#include "core/predict/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// Notes where the client is as of its last report; a move since the last call, or the end of the session before, is learned.
/// The same report again changes nothing. Needs no position.
void learn_habit(telemetry::Motion &motion);

/// What the habit says of the time from the last report on.
struct Habitual {
  double evidence = 0;  // moves that this is told by; 0: it says nothing
  std::vector<Candidate> candidates;  // rates as in Candidate, of arrivals in ready_s..until_s and 0..until_s
};
Habitual by_habit(const telemetry::Motion &motion, double ready_s, double until_s);

}  // namespace vectorshard::predict
