// What the planner reasons about: nodes and their areas, wishes, policies, and its decisions. Clients' seconds.
#pragma once
#include <limits>
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

/// Value of what nobody predicted but somebody asked for: a serving node, a pin, a writer that waits.
constexpr double kPriceless = std::numeric_limits<double>::infinity();

/// What is known of a node as a target for one client.
struct Target {
  NodeId node = kNoNode;
  double lead_s = 0;  // how long a copy to it takes
  bool full = false;  // its budget is used up
  double least_value = kPriceless;  // if full: of what it would give up for a better copy; priceless: of nothing
  double miss_s = 1;  // what an arrival there waits that finds no copy
  double price = 1;   // of a copy there, in that of an average client's at default prices (value.hpp)
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
  double value = kPriceless;  // seconds of waiting saved in an hour of the copy, less its cost
  double eta_s = 0;           // when the client is expected there; 0: it is not by prediction that it is wished
  double lead_s = 0;          // of the target
  std::string policy{};       // that brought it about, if any
};

/// Reason of the wish for the node that the client reports to; tells other nodes who serves it now.
constexpr const char *kServesReason = "serves the client";

}  // namespace vectorshard::place
