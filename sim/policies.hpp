// The policies by their names on the command line: ours, and those that it is compared with.
#pragma once
#include <map>
#include <memory>
#include <string>

#include "replay.hpp"

namespace vectorshard::sim {

struct PolicyOptions {
  double transfer_s = 5;
  double session_gap_s = 180;
  double utc_offset_h = 0;                 // what the hours and weekdays of habits are told by
  std::map<std::string, double> settings;  // --set name=value
  /// The setting, or `otherwise`; each policy asks for all of its own.
  double get(const std::string &name, double otherwise) const {
    auto it = settings.find(name);
    return it == settings.end() ? otherwise : it->second;
  }
};

/// Throws std::runtime_error for a name that is none. `trace` only for its number of clients.
std::unique_ptr<Policy> make_policy(const std::string &name, const Trace &trace, const Nodes &nodes, const PolicyOptions &options);

std::unique_ptr<Policy> make_auto(const Trace &trace, const Nodes &nodes, const PolicyOptions &options);
std::unique_ptr<Policy> make_reach(const Trace &trace, const Nodes &nodes, const PolicyOptions &options);
std::unique_ptr<Policy> make_dead_reckoning(const Trace &trace, const Nodes &nodes, const PolicyOptions &options);
std::unique_ptr<Policy> make_vomm2(const Trace &trace, const Nodes &nodes, const PolicyOptions &options);
std::unique_ptr<Policy> make_fomm5(const Trace &trace, const Nodes &nodes, const PolicyOptions &options);

}  // namespace vectorshard::sim
