// From tables and motion to decisions: what the navigator worker does for many clients at a time, and
// explain_placement() for one. Reads only.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/place/planner.hpp"
#include "pg/place/decision_log.hpp"
#include "pg/place/policies.hpp"
#include "pg/telemetry/api.hpp"

namespace vectorshard::place {

/// A client to plan for. `known.client` is set always; `moving` tells whether its motion is known here.
struct Subject {
  telemetry::Known known;
  bool moving = false;
  bool missed = false;
  double silent_s = 0;  // since its last report; 0: that is what it is planned for
};

/// For a client that is planned for whatever reason: how long it has been silent, 0 if its last report has just come.
double silent_s(const telemetry::Known &known);

/// A wish in force that another node wrote.
struct OtherWish {
  NodeId node = kNoNode;
  NodeId planner = kNoNode;
  double until_s = 0;
  std::string reason;
};

struct Plan {
  Subject subject;
  NodeId home = kNoNode;       // kNoNode: no row of the client was inserted anywhere, there is nothing to place
  bool serving = false;        // by this node
  NodeId served_by = kNoNode;  // by which other node, if that is known
  double served_since_s = 0;   // by it, as its planner says; clients' seconds
  double lead_s = 0;
  double look_again_s = 0;     // if it does not report before; 0: not before
  std::vector<OtherWish> others;
  std::vector<predict::Candidate> candidates;
  std::vector<Wish> wishes;    // in force by this node, before the decisions
  bool arrived = false;        // a report told that it came here
  std::vector<Policy> policies;
  std::map<NodeId, std::string> held;  // by node: copying, live, or cold
  std::vector<Decision> decisions;
  std::vector<FenceCrossing> crossings;  // that no row tells yet
};

/// Plans each subject, in their order. Needs an open transaction with rights on the fabric's tables. Raises what
/// PostgreSQL raises. `would_be`: wishes that are taken for written.
std::vector<Plan> make_plans(std::vector<Subject> subjects, const WouldBe *would_be = nullptr);

}  // namespace vectorshard::place
