// What other stages may ask of telemetry: to take a report (COPY and INSERT into vectorshard.telemetry go here), and
// the motion of a client. Never aborts the caller's transaction for a report that is merely late or implausible.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/result.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::telemetry {

/// A report as an application gives it: WGS84 degrees, metres per second, degrees clockwise from north.
struct RawReport {
  std::string_view client;
  double lon = 0;
  double lat = 0;
  std::optional<double> speed_mps;
  std::optional<double> heading_deg;
  int64_t observed_at = 0;  // PostgreSQL timestamptz: microseconds since 2000-01-01
};

/// Takes one report of a client that this node serves: checks it, updates the client's motion in shared memory, counts
/// an arrival if the client was served elsewhere, and marks it for the navigator (once: call flush_reports() at the
/// end of a statement to wake it). True: accepted. False: refused as late, future, duplicate or implausible, and
/// counted (view telemetry_refusals). Error invalid_argument: malformed (empty client, latitude, NaN). Needs an open
/// transaction. Raises PgError only for what PostgreSQL raises.
Result<bool> take_report(const RawReport &report);

/// Wakes the navigator for the reports taken since the last call.
void flush_reports() noexcept;

/// The motion of `client` as this node knows it (shared memory, else the table `motion`), if any.
/// Needs an open transaction.
std::optional<Motion> motion_of(std::string_view client);

}  // namespace vectorshard::telemetry
