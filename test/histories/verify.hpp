// After a history: are all holders equal, and is every acknowledged write visible or beaten by a larger version? Reads only, except
// for the faults that the self-test plants on purpose.
#pragma once
#include <string>
#include <vector>

#include "plan.hpp"
#include "record.hpp"
#include "server.hpp"

namespace vectorshard::histories {

struct Convergence {
  bool equal = false;
  double seconds = 0;
  std::string difference;  // the last one seen
};

/// Polls until all nodes owe nothing and all holders are equal, at most `limit_s`.
Convergence wait_equal(const Plan &plan, const std::vector<Server> &servers, double limit_s);

/// What differs between the nodes now; empty: nothing.
std::string difference(const Plan &plan, const std::vector<Server> &servers);

/// Logs the rows of the reference table as written: they outlive histories, and one that nothing of this history came to is as it was.
void log_references(const std::vector<Server> &servers, Log &log);

struct Findings {
  std::vector<std::string> lost;     // acknowledged, and gone without a winner
  std::vector<std::string> foreign;  // there, and written by nobody, or by a transaction that failed
  std::vector<std::string> wrong;    // counters out of range
  size_t beaten = 0, visible = 0, recorded = 0;
  bool clean() const { return lost.empty() && foreign.empty() && wrong.empty(); }
};

/// What the background check has found different since the last call, and mended: a fault of convergence that waiting would have
/// hidden. `seen` is one number a server, 0 at first: the last record that was told.
std::vector<std::string> mended_meanwhile(const std::vector<Server> &servers, std::vector<int64_t> &seen);

Findings check(const Plan &plan, const std::vector<Server> &servers, const Log &log);

}  // namespace vectorshard::histories
