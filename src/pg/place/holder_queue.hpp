// What backends ask of the holder worker, in shared memory: "make this client resident", "let this client go". A fixed
// table of slots; the asker waits on a condition variable and reads the outcome from its slot. Also the measured copy
// times. Lost on a crash restart, which loses nothing: askers are gone too, wishes stand in tables.
#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"
#include "core/place/lead.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "datatype/timestamp.h"
}

namespace vectorshard::place {

constexpr size_t kMaxClientBytes = 255;

enum class RequestKind : uint8_t { copy, evict };
enum class RequestState : uint8_t { free, wanted, working, done, failed };

/// A request as the worker sees it.
struct Request {
  RequestKind kind = RequestKind::copy;
  std::string client;
  bool birth_without_core = false;
};

/// How a request ended (or stands), as the asker sees it.
struct Outcome {
  RequestState state = RequestState::free;
  int sqlstate = 0;
  std::string message, detail, hint;
};

/// Registers the shared region; from the postmaster's library load.
void register_holder_queue();

/// Asks, or asks again after a failure; a request that stands is shared and lives until the later `until`. Wakes the
/// worker. False: the table is full.
bool ask(const Request &request, TimestampTz until);
/// How it stands; nullopt if nobody asks (any more).
std::optional<Outcome> outcome(RequestKind kind, std::string_view client);
/// Sleeps until some request ends, at most `ms`. Raises on cancel.
void wait_for_outcome(long ms);

/// Worker: takes the requests that are wanted (they become working) and forgets those whose askers gave up. What was
/// taken before, but is not in `known` (a round or the worker failed meanwhile), is taken again.
std::vector<Request> take_requests(const std::set<std::string, std::less<>> &known);
/// Worker: false if the askers of a request gave up.
bool still_asked(RequestKind kind, std::string_view client);
/// Worker: ends a request; wakes the askers.
void finish(RequestKind kind, std::string_view client);
void finish_failed(RequestKind kind, std::string_view client, int sqlstate, const Error &why);
/// Worker: true if a copy is wanted that nobody works on yet.
bool copies_wanted();

/// Worker: a client came from `source`, `seconds` after its job began, as the last of `bytes`.
void note_copy(NodeId source, double bytes, double seconds);
/// Worker: a job from `source` begins.
void note_job(NodeId source);
/// Jobs from a source, and the copies that came by them, since the server started. What moves together shares jobs.
struct CopyJobs {
  uint64_t jobs = 0, copies = 0;
};
std::map<NodeId, CopyJobs> copy_jobs();
/// What was measured of copies from each source, since the server started.
std::map<NodeId, Path> measured_paths();

}  // namespace vectorshard::place
