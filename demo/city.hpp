// A made-up city for runs without data: streets and avenues, traffic lights, commuters between home and work, taxis
// and couriers that start and end shifts. Everything it returns is generated from a fixed seed; never call it measured.
#pragma once
#include "trace.hpp"

namespace vectorshard::demo {

/// `clients` tracks over three hours of a morning, with reports every 20 s that carry speed and heading, and 25 sites,
/// denser in the middle.
Trace generate_city(size_t clients);

}  // namespace vectorshard::demo
