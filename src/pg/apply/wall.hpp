// The wall clock that versions are made of: the machine's, as long as it does not jump. See api.hpp for what others ask of it.
#pragma once
#include <cstdint>

namespace vectorshard::apply {

/// Registers its region of shared memory. Called once, while the library is loaded.
void init_wall();

}  // namespace vectorshard::apply
