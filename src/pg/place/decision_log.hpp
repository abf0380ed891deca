// What the navigator decided, kept for looking back: local table decision_log, changes alone. And what it would have decided
// in dry_run, which no table has. Memory of the navigator; a restart forgets what was refused and what would be wished.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/place/types.hpp"
#include "pg/bridge/spi.hpp"

namespace vectorshard::place {

struct Plan;

/// Wishes that dry_run does not write, as far as they would be in force.
class WouldBe {
 public:
  std::vector<Wish> of(const std::string &client, double now_s) const;
  /// Takes up what was decided for a client.
  void take(const Plan &plan, double now_s);
  /// True if a copy wished in this way would have been on `node` at that time.
  bool there(const std::string &client, NodeId node, double at_s, double keep_s) const;
  void forget(const std::string &client) { wishes_.erase(client); }
  void clear() { wishes_.clear(); }

 private:
  struct Wished {
    NodeId node;
    double ready_s, until_s;
  };
  std::map<std::string, std::vector<Wished>> wishes_;
};

class DecisionLog {
 public:
  /// Writes what changed by these plans, one statement for all, in the open transaction.
  void write(bridge::Spi &spi, const std::vector<Plan> &plans, bool dry_run);
  /// Removes some of what is too old or too much; in a transaction of its own. True: there is more.
  bool tidy();

 private:
  bool is_new(const std::string &client, const Decision &decision);
  std::map<std::string, std::map<NodeId, std::string>> refused_;  // by client and node: why, last
  size_t refusals_ = 0;
};

}  // namespace vectorshard::place
