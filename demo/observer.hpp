// Watches the fabric from its core node during a replay: surplus copies, copies made ahead, clients sent to the store. Reads the
// tables a DBA would read; touches nothing.
#pragma once
#include <map>
#include <string>
#include <utility>

#include "fabric.hpp"
#include "fleet.hpp"
#include "outcome.hpp"

namespace vectorshard::demo {

class Observer {
 public:
  Observer(const Fabric &fabric, Fleet &fleet);
  /// Looks once. A surplus copy is a live one on a node that neither serves its client nor is its home.
  void look();
  /// At the end: why clients were brought back from the store since the observer was made.
  void count_returns();
  const Outcome &outcome() const { return outcome_; }
  size_t active_clients() const { return active_; }

 private:
  void see_copy(FleetClient &client, size_t node);
  Rows returns();
  const Fabric &fabric_;
  Fleet &fleet_;
  Connection core_;
  std::map<std::pair<std::string, size_t>, bool> live_before_, live_now_;
  std::map<std::string, bool> cold_before_;
  size_t active_ = 0;
  int64_t by_prediction_before_ = 0, by_access_before_ = 0;
  Outcome outcome_;
};

}  // namespace vectorshard::demo
