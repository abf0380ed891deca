// The nemesis: carries out the faults of a plan at their times and takes all of them back at the end. It runs in the thread that starts
// the servers, because their lives are tied to it.
#pragma once
#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "plan.hpp"
#include "server.hpp"

namespace vectorshard::histories {

/// Set by a signal: the run ends as by an error.
extern std::atomic<bool> g_interrupted;

class Nemesis {
 public:
  Nemesis(const Plan &plan, Net &net, std::vector<Server> &servers) : plan_(plan), net_(net), servers_(servers) {}

  /// Returns when the last fault is over and `done` is true.
  void run(std::chrono::steady_clock::time_point start, const std::function<bool()> &done);
  /// Everything back: links, frozen processes, servers, clocks. Returns when all servers answer.
  void heal();
  /// How many faults were done; one that hits a server which is down already is none.
  int done() const { return done_; }
  /// When the last fault was over.
  std::chrono::steady_clock::time_point quiet_since() const { return quiet_since_; }
  const std::vector<std::string> &diary() const { return diary_; }

 private:
  bool begin(const Fault &f);
  void end(const Fault &f);
  bool signal_worker(const Fault &f, const std::string &condition, int number);
  void say(const std::string &text);

  const Plan &plan_;
  Net &net_;
  std::vector<Server> &servers_;
  std::chrono::steady_clock::time_point start_, quiet_since_;
  std::vector<bool> frozen_ = std::vector<bool>(kNodes, false);
  int done_ = 0;
  std::vector<std::string> diary_;
};

}  // namespace vectorshard::histories
