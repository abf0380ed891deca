// The application of one thread: what a fleet's service does with plain SQL at the node it is connected to. It names no node, knows nothing
// of copies, and tries again after errors that PostgreSQL applications try again after.
#pragma once
#include <memory>
#include <mutex>
#include <random>
#include <vector>

#include "fabric.hpp"
#include "fleet.hpp"
#include "outcome.hpp"

namespace vectorshard::demo {

/// Administrator's connections, one a node, shared by all threads: they look at what a node holds without
/// causing anything there.
class Inspectors {
 public:
  explicit Inspectors(const Fabric &fabric);
  struct Held {
    bool resident = false;
    bool current = false;
  };
  /// What the node holds of the client, compared with what the application knows.
  Held look(size_t node, const FleetClient &client);
  /// True if the client's home has its rows in its heap.
  bool hot_at_home(const FleetClient &client);

 private:
  struct Inspector {
    std::mutex lock;
    std::unique_ptr<Connection> connection;
  };
  const Fabric &fabric_;
  std::vector<Inspector> inspectors_;
};

class Application {
 public:
  Application(const Fabric &fabric, Inspectors &inspectors, unsigned seed);

  /// Drives one client at a node, all statements once, as a pool's session was used before. Nothing of it counts.
  void warm_up(FleetClient &client, size_t node, double observed_unix_s);
  /// Runs one step of the client; `observed_unix_s` is the wall-clock time for which the report stands.
  void run(FleetClient &client, const Step &step, double observed_unix_s, double writes);
  /// Whether the latest arrival found a current copy.
  bool last_was_hit() const { return !outcome_.arrivals.empty() && outcome_.arrivals.back().hit; }
  Outcome take_outcome() { return std::move(outcome_); }

 private:
  Connection &at(size_t node);
  /// Runs `what` with retries; false if it failed for good.
  template <class F>
  bool attempt(FleetClient &client, F what);
  void report(FleetClient &client, const Step &step, double observed_unix_s);
  void note_need(FleetClient &client);
  void first_access(FleetClient &client, const Step &step);
  void write(FleetClient &client, size_t node);
  void update_profile(FleetClient &client, size_t node);
  void update_tile(FleetClient &client, size_t node);
  void insert_tile(FleetClient &client, size_t node);
  void delete_tile(FleetClient &client, size_t node);
  std::string random_tile();
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }

  const Fabric &fabric_;
  Inspectors &inspectors_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::mt19937_64 random_;
  Outcome outcome_;
};

}  // namespace vectorshard::demo
