// The world of a history: time, the network, the nodes, chance, and the book of what applications were told. One world, one
// thread, no clock of the machine: the seed decides everything.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "node.hpp"
#include "profile.hpp"

namespace sim {

/// A write that was committed.
struct Written {
  int client = 0, key = 0;
  Version version = 0;
  NodeId node = kNoNode;
  bool deleted = false;
  AppRow row;            // as it was written
  int64_t at = 0;
  bool idle = false;     // an UPDATE that changed nothing
};
struct Added {
  int client = 0, key = 0;
  Version birth = 0;
  int64_t n = 0;
  NodeId node = kNoNode;
  int64_t at = 0;
};

struct Verdict {
  std::string kind;  // empty: all is well
  std::string text;
  bool bad() const { return !kind.empty(); }
};

class World {
 public:
  World(uint64_t seed, const Profile &profile, const Rules &rules, bool trace);
  ~World();

  Random random;
  Profile profile;
  const Rules &rules;
  std::vector<std::unique_ptr<Node>> nodes;  // by number; [0] is null
  std::vector<Written> written;
  std::vector<Added> added;
  Verdict fault;             // found while it ran
  uint64_t operations = 0;
  bool faults = true;        // off while the world heals

  int64_t now() const { return now_; }
  uint32_t next_number() { return ++numbers_; }  // a value that was never written
  Node &node(NodeId n) { return *nodes[static_cast<size_t>(n)]; }
  /// Calls `what` after `ms` if the node has not been down meanwhile.
  void after(NodeId n, int64_t ms, std::function<void()> what);
  /// Carries a message: `what` runs at the receiver at time `at`, unless it is lost, the link is cut, or the receiver is down.
  /// Nobody is told: senders notice by time.
  void send(NodeId from, NodeId to, int64_t at, std::function<void()> what);
  void message(NodeId from, NodeId to, std::function<void()> what) { send(from, to, now_ + delay(from, to), std::move(what)); }
  int64_t delay(NodeId from, NodeId to);
  bool linked(NodeId a, NodeId b) const { return !cut_[static_cast<size_t>(a)][static_cast<size_t>(b)]; }
  void set_cut(NodeId a, NodeId b, bool cut) { cut_[static_cast<size_t>(a)][static_cast<size_t>(b)] = cut; }
  int64_t skew(NodeId n) const { return skew_[static_cast<size_t>(n)]; }
  void report(const std::string &kind, const std::string &text);
  bool tracing() const { return trace_; }
  void say(NodeId n, const std::string &text);

  /// Runs until nothing is planned before `until`.
  void run_until(int64_t until);
  /// The whole history: workload, faults, healing, and the look at the end.
  Verdict run();

  // workload.cpp
  void operation();
  void crash(NodeId n);
  void restart(NodeId n);
  void heal();
  // check.cpp
  Verdict check();

 private:
  struct Event {
    int64_t at;
    uint64_t order;
    NodeId node;
    uint64_t boot;
    std::function<void()> what;
  };
  struct Later {
    bool operator()(const Event &a, const Event &b) const { return a.at != b.at ? a.at > b.at : a.order > b.order; }
  };
  void found();
  void later(int64_t ms, std::function<void()> what);
  void lose_slot(NodeId n);
  void swizzle();
  void join();
  void admit(Node &giver, NodeId n);
  void remove(NodeId n);
  void scan(NodeId asker, int tries);
  void read_elsewhere(NodeId asker);
  void wish();
  bool settled();
  Verdict check_client(int client);
  Verdict check_key(int client, int key, const std::vector<Node *> &holders);
  Verdict check_counter(int client, int key, const AppRow &row);
  bool member(NodeId n);
  bool excused(const Written &w) const { return gone_[w.node]; }  // what it had not shipped is lost
  NodeId any_up();

  int64_t now_ = 0;
  uint64_t order_ = 0;
  std::vector<Event> heap_;
  bool cut_[kNodes][kNodes] = {};
  int64_t skew_[kNodes] = {};
  int slow_[kNodes][kNodes] = {};
  bool gone_[kNodes] = {};  // removed from the fabric
  uint64_t events_ = 0;
  int joined_ = 0;
  uint32_t numbers_ = 0;
  bool trace_;
};

}  // namespace sim
