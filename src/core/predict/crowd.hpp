// What clients did before from the same place, heading the same way: how much time they spent there, and to which nodes they
// moved from it, soon or when a copy would have been ready. Roads and borders are learned so, without a map. A fixed number of places; the one of which least is known
// makes room. Plain data, may lie in shared memory; no locks of its own.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "core/base/ids.hpp"

namespace vectorshard::predict {

/// A cell of the ground, an eighth of the compass, and slow or fast. Zero is none.
using PlaceKey = uint64_t;
/// `east`, `north`: unit vector of the heading; slower than a walk there is no heading.
PlaceKey place_key(double lat, double lon, double east, double north, double speed_mps, double cell_m);

class Crowd {
 public:
  static constexpr size_t kNodes = 7;  // moved to from one place: between two reports a client may pass several areas
  struct Moved {
    NodeId node = kNoNode;
    float times = 0;  // a copy begun here would have been in time, and just
    float soon = 0;   // shares of arrivals within the time that it takes to have a copy: what one that is there is good for
  };
  struct Place {
    PlaceKey key = 0;
    float seconds = 0;
    std::array<Moved, kNodes> moved;
  };

  /// Keeps its memory in `places`, which the caller owns; `count` is a power of two, 4 at least. Zeros are an empty memory.
  Crowd(Place *places, size_t count) : places_(places), count_(count) {}
  void stayed(PlaceKey key, double seconds);
  void moved(PlaceKey key, NodeId to, float times, float soon);
  /// Null if nothing is known. Valid until the next change.
  const Place *find(PlaceKey key) const;

 private:
  static constexpr size_t kWays = 4;
  size_t bucket(PlaceKey key) const;
  Place &entry(PlaceKey key);

  Place *places_;
  size_t count_;
};

}  // namespace vectorshard::predict
