// Clock comparison at the handshake: see clock_check.hpp. It refuses, it never adjusts a clock.
#include "pg/fabric/clock_check.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"

namespace vectorshard::fabric {

int64_t wall_clock_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

void check_clock(int64_t other_ms, int64_t here_ms, int64_t round_trip_ms) {
  int64_t ahead = other_ms - here_ms;  // of the other
  if (ahead <= bridge::guc::max_clock_skew_ms && -ahead <= bridge::guc::max_clock_skew_ms + round_trip_ms) return;
  bridge::raise({Errc::clock_skew, "the clocks of the nodes differ too much",
                 "The other node's clock is " + std::to_string(ahead) + " ms ahead of this one's; vectorshard.max_clock_skew_ms is " +
                     std::to_string(bridge::guc::max_clock_skew_ms) + ".",
                 "Set both clocks by NTP, then try again."});
}

}  // namespace vectorshard::fabric
