// The time of day as a number: for what is written down or compared with what is. What only waits takes steady.hpp.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::bridge {

/// Seconds since 2000, as PostgreSQL counts.
inline double wall_s() { return static_cast<double>(GetCurrentTimestamp()) / 1e6; }

}  // namespace vectorshard::bridge
