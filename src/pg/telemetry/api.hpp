// What other stages may ask of telemetry: to take a report (COPY and INSERT into vectorshard.telemetry go here), the
// motion of a client, and, for the navigator, whose motion changed. Never aborts the caller's transaction for a report
// that is merely late or implausible.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

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

/// The Error of a malformed report, whatever is known of the client. take_report() checks it too.
Result<void> check_report(const RawReport &report);

/// A report is malformed: true where the setting says that it is refused, and it is counted then; else the caller raises.
bool refuse_malformed() noexcept;
/// What take_report() gave: accepted or not; raises its error unless refuse_malformed().
bool accepted_or_raise(Result<bool> taken);

/// Takes one report of a client that this node serves: checks it, updates the client's motion in shared memory, counts
/// an arrival if the client was served elsewhere, and marks it for the navigator (once: call flush_reports() at the
/// end of a statement to wake it). True: accepted. False: refused as late, future, duplicate or implausible, and
/// counted (view telemetry_refusals). Error invalid_argument: malformed (empty client, latitude, NaN). Needs an open
/// transaction. Raises PgError only for what PostgreSQL raises.
Result<bool> take_report(const RawReport &report);

/// As take_report, of a client whose position is not known: it is served here now, and was served by `from` before
/// (kNoNode: not told).
Result<bool> take_handover(std::string_view client, NodeId from, int64_t observed_at);

/// Wakes the navigator for the reports taken since the last call.
void flush_reports() noexcept;

/// The motion of `client` as this node knows it (shared memory, else the table `motion`), if any.
/// Needs an open transaction.
std::optional<Motion> motion_of(std::string_view client);

/// Clients' seconds (since 1970, times time_scale) of a timestamptz, of now, and back. All of src/core reckons in them.
double clients_seconds(int64_t timestamptz);
double clients_now();
int64_t wall_time(double clients_s);

/// What shared memory holds of a client.
struct Known {
  ClientName client;
  Motion motion;
  bool arrived = false;          // came here since it was last taken by the navigator
  int64_t received_at = 0;       // timestamptz of the last accepted report here; 0: none since the start
  int64_t checkpointed_at = 0;   // timestamptz when `motion` was last written here; 0: not since the start
  double written_at_s = 0;       // the motion's time then
};
std::optional<Known> known_in_memory(std::string_view client);

/// For the navigator alone: clients marked since they were last taken, at most `most`; their marks are cleared.
std::vector<Known> take_marked(size_t most);
/// Marks a client that shared memory knows and wakes the navigator; nothing happens for others. `arrived`: again, as
/// its arrival could not be made known. Does not throw; safe after commit.
void mark_for_navigator(std::string_view client, bool arrived = false) noexcept;
/// Another node serves the client now, unless a report newer than `motion_at_s` came here meanwhile. `left_s`: when it left this
/// one, which its motion keeps as `serving_since_s` from then on.
void served_by_other(std::string_view client, NodeId node, double motion_at_s, double left_s);
/// Keeps trail and habit of `motion`, which was taken from here, unless newer ones are there.
void note_learned(std::string_view client, const Motion &motion);
/// Keeps what go_on_from() took over, unless a newer report came.
void note_history(std::string_view client, const Motion &motion);
/// The client was planned by its motion of `motion_at_s`, and has to be looked at again at this time (clients' seconds; 0: when
/// it reports).
void note_planned(std::string_view client, double motion_at_s, double look_again_s);
/// Where a pass over all of shared memory has come to.
struct PassCursor {
  int partition = 0;
  int32_t slot = 0;
};
/// For the navigator alone: goes on over at most `slots` slots, a few at a time under their lock so that no report waits for
/// it, and adds to `due` those clients whose time to be looked at has come and that this node serves, until it has `most`. True:
/// all were passed; the cursor is at the beginning again.
bool pass_on(PassCursor &cursor, int slots, double now_s, size_t most, std::vector<Known> &due);
/// As pass_on, for clients whose last report is not in the table yet.
bool pass_on_unwritten(PassCursor &cursor, size_t most, std::vector<Known> &unwritten);
/// As pass_on, for all clients that this node serves and whose position is known.
bool pass_on_placed(PassCursor &cursor, int slots, size_t most, std::vector<Known> &placed);
/// The client's motion of `motion_at_s` was written to the table at this time.
void note_checkpoint(std::string_view client, double motion_at_s, int64_t at);

/// Shared memory knows no motion of the client any more, until it reports again.
void forget(std::string_view client);

/// Since the server started.
struct Counters {
  uint64_t accepted = 0;
  uint64_t refused[kRefusalCount] = {};
  uint64_t dropped = 0;  // motion of clients that was dropped for want of room (max_clients)
  uint64_t arrivals = 0;
  uint64_t hits = 0;     // arrivals that found the client resident
};
Counters counters();
/// Clients whose last report came here within `seconds` (clients' seconds): a scan of all of shared memory.
size_t active_clients(double seconds);

/// Registers the shared region. Called once, in the postmaster.
void init();

}  // namespace vectorshard::telemetry
