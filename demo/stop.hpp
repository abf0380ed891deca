// Ctrl-C and SIGTERM: a flag that every loop looks at, so that the destructors stop the servers. A signal never ends the
// program by itself; a second one, or ten seconds of waiting in vain, kills the servers, which frees stuck calls.
#pragma once
#include <functional>
#include <stdexcept>

namespace vectorshard::demo {

/// Thrown where a loop finds that the user wants to stop.
struct Stopped : std::runtime_error {
  Stopped() : std::runtime_error("stopped by a signal") {}
};

/// Starts to catch signals in a thread of its own. Call before any other thread starts. `force` is called from that
/// thread to break calls that hang; it must be safe to call at any time.
void catch_signals(std::function<void()> force);

bool stop_requested();
/// Throws Stopped if a signal came.
void check_stop();
/// Sleeps in small slices; throws Stopped.
void sleep_s(double seconds);

}  // namespace vectorshard::demo
