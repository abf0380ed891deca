// Wrong rules, one at a time, each with the histories in which it does harm. The simulator must catch every one: that is the
// test of the simulator. A scenario is the same for an entry of the list of interleavings in docs/promises.md.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "profile.hpp"
#include "rules.hpp"

namespace sim {

struct Planted {
  std::string name;
  std::string interleaving;  // empty: one of the twelve wrong rules; else which interleaving the rule is against
  std::shared_ptr<const Rules> rules;
  void (*profile)(Profile &) = nullptr;  // what makes it frequent; null: histories as drawn
};

/// Copies from holders that lag, while the home cannot be reached.
void lonely_copies(Profile &profile);

const std::vector<Planted> &planted_rules();
const std::vector<Planted> &scenarios();

}  // namespace sim
