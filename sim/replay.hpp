// Replays a trace through a policy over nodes with copies that take a fixed time, and measures what came of it. The metrics
// are those of docs/simulator.md; no policy is told the future.
#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <vector>

#include "nodes.hpp"
#include "trace.hpp"

namespace vectorshard::sim {

constexpr double kNoEnd = std::numeric_limits<double>::infinity();

/// A copy that should be on a node until then, or until the next decision drops it.
struct Want {
  NodeId node = kNoNode;
  double until_s = kNoEnd;
};

/// What a policy is told of a report, once the metrics of the arrival are taken.
struct Step {
  const Fix *fix = nullptr;
  NodeId serving = kNoNode;
  NodeId before = kNoNode;    // that served the report before this one in the session; kNoNode: none
  double previous_s = 0;      // of that report
  bool starts = false;        // first of a session
  double transfer_s = 0;
};

class Policy {
 public:
  virtual ~Policy() = default;
  /// Wants for nodes other than the serving one, which has its copy in any case. Copies not wanted are dropped at once.
  virtual void decide(const Step &step, std::vector<Want> &wants) = 0;
  /// The session of a client has ended at its last report.
  virtual void session_ends(uint32_t /*client*/) {}
  /// Of what it remembers of one client.
  virtual size_t bytes_per_client() const { return 0; }
};

struct ReplaySettings {
  double transfer_s = 5;
  double session_gap_s = 180;
  double keep_s = 0;  // the copy on the last serving node outlives the session by this
  std::function<void(size_t, size_t)> progress;  // reports done, of
};

struct Metrics {
  uint64_t reports = 0, clients = 0, sessions = 0, moves = 0, hits = 0, start_hits = 0, starts_again = 0;
  uint64_t transfers = 0, dropped = 0, wasted = 0;
  double session_s = 0, available_s = 0;
  double surplus_s = 0;        // ready or in transfer, on other nodes than the serving one; between sessions in full
  double surplus_ready_s = 0;  // of that, ready and within sessions
  double offline_s = 0;        // of that, between sessions
  double policy_us = 0;
  std::vector<float> leads_s;  // of hits
  size_t bytes_per_client = 0;

  double ahr() const { return moves ? static_cast<double>(hits) / static_cast<double>(moves) : 0; }
  double shr() const { return starts_again ? static_cast<double>(start_hits) / static_cast<double>(starts_again) : 0; }
  double availability() const { return session_s > 0 ? available_s / session_s : 0; }
  double surplus() const { return session_s > 0 ? surplus_s / session_s : 0; }
  double surplus_ready() const { return session_s > 0 ? surplus_ready_s / session_s : 0; }
  double transfers_per_move() const { return moves ? static_cast<double>(transfers) / static_cast<double>(moves) : 0; }
  double waste() const { return transfers ? static_cast<double>(wasted) / static_cast<double>(transfers) : 0; }
  double us_per_report() const { return reports ? policy_us / static_cast<double>(reports) : 0; }
  /// The share `p` (0..1) of hits had no longer a lead.
  double lead_s(double p) const;
};

Metrics replay(const Trace &trace, const Nodes &nodes, const ReplaySettings &settings, Policy &policy);

/// What a policy could reach that knows where each client goes, from the first report of a session on: every copy begins
/// one transfer before it is needed.
Metrics oracle(const Trace &trace, const Nodes &nodes, const ReplaySettings &settings);

}  // namespace vectorshard::sim
