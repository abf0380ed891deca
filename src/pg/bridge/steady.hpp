// The clock for waiting: it never jumps, whatever is done to the time of day. Its numbers mean nothing outside this server's
// machine and its present boot, but all processes see the same.
#pragma once
#include <time.h>

#include "pg/bridge/postgres.hpp"

namespace vectorshard::bridge {

/// Microseconds since the machine was booted, sleep included.
inline int64 steady_us() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return int64{t.tv_sec} * 1000000 + t.tv_nsec / 1000;
}

/// The same in seconds.
inline double steady_s() { return static_cast<double>(steady_us()) / 1e6; }

}  // namespace vectorshard::bridge
