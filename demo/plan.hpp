// What the replay will do, worked out before it starts: which clients, which stretch of the trace, and for every
// client the steps in order. Both replays follow the same plan, so their hit ratios compare like with like.
#pragma once
#include <string>
#include <vector>

#include "trace.hpp"

namespace vectorshard::demo {

/// A gap this long between reports ends a session of the application.
constexpr double kSessionGapS = 300;

/// Something a client does at a moment of the trace.
struct Step {
  enum class Kind { report, open };  // open: the application starts its session
  Kind kind = Kind::report;
  double at_s = 0;       // seconds since the start of the window
  Report report;         // the report, or the last one before an `open`
  size_t node = 0;       // index of the edge node that serves the client then
  bool arrival = false;  // first access at a node that did not serve the client before
  bool starts = false;   // such an arrival with which a session opens
  bool moving = false;   // the application is open and the client is not parked: it may write
  bool last = false;     // the session ends after this step
};

struct ClientPlan {
  std::string client;
  std::vector<Step> steps;
  double longest_pause_s = 0;  // between two reports
};

struct Plan {
  double start_unix_s = 0;
  double length_s = 0;
  std::vector<ClientPlan> clients;
  size_t reports = 0;
  size_t arrivals = 0;
  size_t session_starts = 0;  // of the arrivals
};

struct PlanWishes {
  double length_s = 0;
  size_t clients = 0;         // at least this many, those with most reports
  size_t pausing_clients = 0; // and so many with the longest pauses, which may go to the store
  double pause_s = 0;         // a pause counts from this length
};

/// Finds the stretch in which most clients move, chooses clients, and plans their steps against `nodes`.
Plan make_plan(const Trace &trace, const std::vector<Point> &nodes, const PlanWishes &wishes);

}  // namespace vectorshard::demo
