// When the navigator has to look at a client though it does not report: what was too far, or too early, when it was last planned
// may be near now. Clients are not looked at for longer than they are reckoned to be served.
#pragma once
#include <vector>

#include "core/place/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::place {

/// How long a client that is silent is still served: some report intervals; one without a position tells only when it moves on,
/// and phones that rest in a cell say so about once an hour.
double serving_life_s(const telemetry::Motion &motion);

/// What the last plan of a client rests on.
struct Outlook {
  double now_s = 0;
  double lead_s = 0;
  double ahead_s = 0;    // looked beyond the lead
  double clear_m = 0;    // no area of another node is nearer; 0: it was predicted
  double speed_mps = 0;  // and with this speed at most it may go there
  std::vector<predict::Candidate> candidates;
};

/// When to plan it again if no report comes, in clients' seconds, after now; 0: not at all.
double look_again_s(const telemetry::Motion &motion, const Outlook &outlook);

}  // namespace vectorshard::place
