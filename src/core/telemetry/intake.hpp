// Intake: is a report believable after what is known of the client, and what does it say about its motion?
// Pure: the clock and the limits are given. Does not predict (core/predict does, from the Motion).
#pragma once
#include "core/telemetry/types.hpp"

namespace vectorshard::telemetry {

/// Limits of plausibility, in clients' seconds and metres per second.
struct IntakeLimits {
  double max_age_s = 300;
  double max_ahead_s = 5;
  double max_speed_mps = 500;
};

/// Malformed: values that no client can have, whatever came before. An Error says which value.
Result<void> check_wellformed(const Report &report);

/// The refusal of a well-formed report, or nothing. `motion` is what is known of the client (at_s 0: nothing).
std::optional<Refusal> check_plausible(const Report &report, const Motion &motion, double now_s,
                                       const IntakeLimits &limits);

/// As check_plausible, for a report that has a time and no position (a handover).
std::optional<Refusal> check_time(double at_s, const Motion &motion, double now_s, const IntakeLimits &limits);

/// Takes an accepted report into `motion`: position, speed and heading (derived when absent), report interval, pace,
/// session, stay. `self` is the node that took it. Leaves motion.kalman alone.
void take(const Report &report, NodeId self, Motion &motion);

/// What was known of the client elsewhere, `before` it came here: its rows came after it. Its habits go on from there; false: more
/// is known here.
bool go_on_from(const Motion &before, Motion &motion);

/// Takes an accepted handover to `self`: who serves, and when. The position is unknown from then on, so only habits
/// tell where it goes until a report tells it.
void take_handover(double at_s, NodeId self, Motion &motion);

}  // namespace vectorshard::telemetry
