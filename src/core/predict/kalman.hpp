// A constant-velocity Kalman filter over the reports of one client, in local metres. Survives minutes between reports
// and GPS jumps (a report too far from the prediction begins the filter anew). State lives in telemetry::Motion.
#pragma once
#include "core/predict/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::predict {

/// Takes an accepted report into motion.kalman. Call after telemetry::take, which decides where a session begins.
void observe(const telemetry::Report &report, telemetry::Motion &motion);

/// Velocity in metres per second, east and north.
struct Velocity {
  double east = 0;
  double north = 0;
};
Velocity velocity(const telemetry::Motion &motion);

/// Where the client is `ahead_s` after its last report, if it keeps its velocity.
Position position_after(const telemetry::Motion &motion, double ahead_s);

/// Standard deviation of that position along each axis, in metres.
double position_sigma_m(const telemetry::Motion &motion, double ahead_s);

}  // namespace vectorshard::predict
