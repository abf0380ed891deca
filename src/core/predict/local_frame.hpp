// Metres east and north of an anchor: flat where that is right, on a sphere beside the poles, where east and north are other
// directions a few metres further on.
#pragma once
#include "core/predict/types.hpp"

namespace vectorshard::predict {

struct Metres {
  double x = 0;  // east, as it is at the anchor
  double y = 0;
};

/// True if the frame of this anchor is on a sphere.
inline bool polar(const Position &anchor) { return telemetry::on_a_sphere(anchor.lat, 0, 0); }

Metres to_metres(const Position &anchor, const Position &p);
Position from_metres(const Position &anchor, Metres m);

/// A velocity in the frame of `from`, in that of `to`.
Metres turned(const Position &from, const Position &to, Metres velocity);

}  // namespace vectorshard::predict
