// What other stages may ask of place: that a client be copied here, and what an access missed.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/ids.hpp"
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "utils/snapshot.h"
}

namespace vectorshard::place {

/// Tells the navigator that a query here needed `client`, which is not resident. Never blocks, never raises; drops
/// the note when its queue in shared memory is full.
void note_missed_access(std::string_view client) noexcept;

/// Makes `client` resident here for a writer: unknown clients are born (home chosen, a core node asked), known ones
/// are copied by the holder worker while we wait, at most vectorshard.insert_wait_ms. Raises with detail and hint on
/// time-out, unreachable home, or budget. Called from the version trigger inside the user's transaction; on return a
/// fresh snapshot sees the client resident (or, for a birth, this transaction itself has made it so).
void require_resident(std::string_view client);

/// Whether this node is the home of a client. `moving`: it has asked another node to be, which may be the home already.
enum class HomeHere { no, yes, moving };
HomeHere home_here(Snapshot snapshot, std::string_view client);
/// The home that `snapshot` shows; kNoNode: none.
NodeId home_under(Snapshot snapshot, std::string_view client);
/// The same of many, each at its place.
std::vector<NodeId> homes_under(Snapshot snapshot, const std::vector<std::string> &clients);
/// Who holds them live, homes among them: the place of the client in `clients`, and a node.
std::vector<std::pair<size_t, NodeId>> live_copies(Snapshot snapshot, const std::vector<std::string> &clients);
/// A client whose home is just moving away, as above; empty: there is none.
std::string moving_home(Snapshot snapshot);

/// Wall-clock milliseconds a copy from `node` to this node took lately (moving average, announce to commit); 0: not
/// measured yet. The planner's lead time.
double copy_time_ms(NodeId node);

/// The round trip of a link to another node, as it was measured lately.
void note_link_rtt(NodeId node, double seconds) noexcept;

/// That round trip in seconds; 0: not measured (as on a Unix socket).
double link_rtt_s(NodeId node) noexcept;

/// Register the shared regions of holder and navigator. Called once, from the postmaster's library load.
void init_holder();
void init_navigator();

}  // namespace vectorshard::place
