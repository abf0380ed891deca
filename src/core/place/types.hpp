// What the planner reasons about: nodes and their areas, wishes, policies, and its decisions. Clients' seconds.
#pragma once
#include <string>
#include <vector>

#include "core/base/ids.hpp"
#include "core/predict/types.hpp"

namespace vectorshard::place {

/// A closed ring of vertices in order; the last edge back to the first is implied.
using Ring = std::vector<predict::Position>;

/// A node as the map needs it. `coverage` holds all rings of its (multi)polygon, holes included; a position is inside
/// when an odd number of rings surround it. Empty: the node covers what is nearest to it.
struct NodeSite {
  NodeId node = kNoNode;
  std::string name;
  bool core = false;
  double lat = 0;
  double lon = 0;
  std::vector<Ring> coverage;
};

/// A wish in force.
struct Wish {
  NodeId node = kNoNode;
  double until_s = 0;
};

enum class PolicyKind {
  hint,    // needed on `node`
  pin,     // kept on `node`
  never,   // not on `node`
  region,  // only on `nodes`
  copies,  // on at least `copies` nodes that are alive
};

/// A policy that binds the planner from..to. A hint's place is already resolved to its node.
struct Policy {
  std::string name;
  PolicyKind kind = PolicyKind::hint;
  NodeId node = kNoNode;
  double from_s = 0;
  double to_s = 0;
  std::vector<NodeId> nodes{};
  int copies = 0;
  bool fenced = false;  // a region that holds while the client is in a geofence
  bool soon = false;    // and the client is about to enter that: what holds it may go on
};

/// What is known of a node as a target.
struct Target {
  NodeId node = kNoNode;
  double lead_s = 0;  // how long a copy to it takes
  bool full = false;  // its budget is used up
};

enum class Verdict {
  wish,     // write the wish: it is new, or what is left of it is too short
  covered,  // our wish in force lasts long enough; nothing to write
  end,      // write our wish with an earlier end: the client turned away
  refused,  // not wished, the reason says why
};

/// One decision, with its reason in words for explain_placement.
struct Decision {
  NodeId node = kNoNode;
  Verdict verdict = Verdict::refused;
  double until_s = 0;
  std::string reason;
};

/// Reason of the wish for the node that the client reports to; tells other nodes who serves it now.
constexpr const char *kServesReason = "serves the client";

}  // namespace vectorshard::place
