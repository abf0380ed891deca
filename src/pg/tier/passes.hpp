// Passes over the policies that operators ask for (run_tiering()): numbers in shared memory, since the tiering worker makes them. A pass
// counts as made once what it wants is planned; what it planned is done after that.
#pragma once
#include <cstdint>

namespace vectorshard::tier {

/// Registers the shared memory of tier. Called once, from _PG_init.
void init();

/// Asks the tiering worker for a pass; gives its number.
uint64_t ask_for_pass();
/// The last that was asked for.
uint64_t asked_pass();
/// The last that was made.
uint64_t last_pass();
/// Called by the worker once every pass up to this number is planned.
void set_last_pass(uint64_t number);

}  // namespace vectorshard::tier
