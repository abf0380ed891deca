// The placement policy: onto which nodes to wish one client, until when, and why. Pure: everything it knows is given.
// Every wish ends by its time, so a planner that dies leaves nothing behind; it lasts longer than the next report is
// away, because reports come late, and is ended early when a report shows that the client turned away. Wishes are
// rows that ship to every node, so few are written: one in force is extended only when it no longer lasts long enough.
#pragma once
#include <string>
#include <vector>

#include "core/place/types.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::place {

struct PlanSettings {
  double margin_s = 20;    // look-ahead beyond the lead time, at least
  int max_candidates = 8;  // besides the serving node
  double min_rate = 0.0006;  // arrivals per second of a copy, the price of one: a copy is worth its while above
  double hold = 0.5;         // share of min_rate at which a copy that is there, or under way, is still kept; less where the lead is long
  bool fabric_full = false;  // the fabric holds as many copies as it may: none more by prediction
  bool words = true;         // tell reasons with their numbers
  bool predict = true;     // false: reactive, the serving node alone
};

/// What is known of a client at `now_s`.
struct ClientView {
  double now_s = 0;
  NodeId self = kNoNode;                    // the node that plans
  const telemetry::Motion *motion = nullptr;  // null: no telemetry here, and its wishes are left to run out
  bool serving = false;                     // its last report came here, and nobody served it since
  bool arrived = false;                     // it came here since the last plan: say so even if a wish is in force
  double silent_s = 0;                      // since its last report, if that is not what it is planned for
  bool missed = false;                      // a query here found it not resident
  std::vector<Wish> wishes;                 // in force, written by `self`
  std::vector<predict::Candidate> candidates;  // within the longest lead time and the look-ahead, likeliest first
  std::vector<Policy> policies;
  bool steward = false;                     // sees to it that it has its least copies: it serves the client, or nobody does
  NodeId home = kNoNode;
  std::vector<NodeId> near;                 // for a steward: nodes that are alive, the nearest to the client first
  std::vector<NodeId> holders;              // copying or live: no budget needed
  std::vector<NodeId> copying;              // of these, those whose copy is under way: it is not given up half done
};

/// Decisions, the serving node first. Nodes lacking in `targets` get lead 0.
std::vector<Decision> plan(const ClientView &client, const std::vector<Target> &targets, const PlanSettings &settings);

/// How long a copy is wished that a policy asks for; wished again when half of that is left.
constexpr double kCopiesLifeS = 600;

/// True if a policy wants more copies than one.
bool wants_copies(const std::vector<Policy> &policies, double now_s);

/// The longest lead time of any target.
double longest_lead_s(const std::vector<Target> &targets);

}  // namespace vectorshard::place
