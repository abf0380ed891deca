// What a client used to do: the part of its motion that lasts beyond sessions. Plain data of fixed size, so that it lives and
// travels with the motion; predict/habit.hpp learns into it and predicts from it.
#pragma once
#include <array>
#include <cstdint>

#include "core/base/ids.hpp"

namespace vectorshard::telemetry {

/// A move that a client made, once or often: from `before` by `here` to `next`. Node numbers fit 16 bits; 0 for `before`: the
/// session began at `here`; 0 for `next`: it ended there.
struct HabitMove {
  uint16_t before = 0, here = 0, next = 0;
  uint16_t times = 0;   // 0: the entry is free
  uint16_t dwell = 0;   // at `here`, average of log2 of its seconds, in kHabitSteps
  uint16_t spread = 0;  // average distance from that, in the same unit
  uint16_t hours = 0;   // bits: in which eighths of the day it was made, of working days and (upper byte) of weekends
};

struct Habit {
  static constexpr size_t kMoves = 28;
  double session_s = 0;  // of the motion, when last looked at; 0: nothing is known
  double since_s = 0;    // the client has been at `here`
  double last_s = 0;     // it was last heard of
  uint16_t before = 0, here = 0;
  uint16_t skill = 0;  // average probability that it gave to the moves that were made then, in 65536ths
  std::array<HabitMove, kMoves> moves;  // the latest made first
};

constexpr double kHabitSteps = 2048;  // to an octave: dwells of a second to 2^32 fit 16 bits

}  // namespace vectorshard::telemetry
