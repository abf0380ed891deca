// Rests and session starts, for the navigator alone (core/place/session_start): it notes when a client of this node falls silent
// and when it begins again, here or elsewhere, in the local table `rest`, and wishes those that are expected back onto this node,
// or onto their home out of its store. What is lost of it is learned again.
#pragma once
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "pg/place/navigator_plan.hpp"

namespace vectorshard::place {

class Sessions {
 public:
  /// Before clients are planned: those that begin a session here are noted, and others must hear who serves them now.
  void begin(std::vector<Subject> &subjects);
  /// After: who is served here, and who no longer is.
  void note(const std::vector<Plan> &plans);
  /// Notes who fell silent, and plans for those that rest and whose time has come; nullopt-like empty: nobody. Needs an open
  /// transaction, and is to be called again after `next_s` (steady clock).
  std::vector<Plan> rest(bridge::Spi &spi);
  double next_s() const { return next_s_; }

 private:
  void fall_silent(bridge::Spi &spi);

  std::unordered_map<std::string, double> active_;  // served here: last report, clients' seconds
  double next_s_ = 0, next_silent_s_ = 0;
};

/// Of a client that rests here and is expected back: for explain_placement().
struct Expectation {
  NodeId node = kNoNode;   // where its rows will be hot: this one, or its home
  double chance = 0, eta_s = 0, rate_per_s = 0, lead_s = 0, value = 0;  // eta_s from now on
  std::string reason;
};
/// nullopt: it is not here that it rests, or nothing is done for when it may come. Needs rights on the fabric's tables.
std::optional<Expectation> expectation_of(bridge::Spi &spi, const std::string &client);

}  // namespace vectorshard::place
