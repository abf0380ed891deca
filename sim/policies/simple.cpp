// Policies that need no prediction, and the table of all names.
#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "../policies.hpp"
#include "core/telemetry/types.hpp"

namespace vectorshard::sim {

namespace {

/// Copies nothing ahead.
class Reactive : public Policy {
 public:
  void decide(const Step &, std::vector<Want> &) override {}
};

class Everywhere : public Policy {
 public:
  explicit Everywhere(const Nodes &nodes) : nodes_(nodes) {}
  void decide(const Step &step, std::vector<Want> &wants) override {
    for (const auto &site : nodes_.sites)
      if (site.node != step.serving) wants.push_back({site.node, kNoEnd});
  }

 private:
  const Nodes &nodes_;
};

/// The K nodes nearest to the client, the serving one among them.
class Nearest : public Policy {
 public:
  Nearest(const Nodes &nodes, size_t k) : nodes_(nodes), k_(std::min(k, nodes.count())) {}
  void decide(const Step &step, std::vector<Want> &wants) override {
    by_distance_.clear();
    for (const auto &site : nodes_.sites)
      by_distance_.emplace_back(telemetry::distance_m(step.fix->lat(), step.fix->lon(), site.lat, site.lon), site.node);
    std::partial_sort(by_distance_.begin(), by_distance_.begin() + static_cast<std::ptrdiff_t>(k_), by_distance_.end());
    for (size_t i = 0; i < k_ && wants.size() + 1 < k_; i++)
      if (by_distance_[i].second != step.serving) wants.push_back({by_distance_[i].second, kNoEnd});
  }

 private:
  const Nodes &nodes_;
  size_t k_;
  std::vector<std::pair<double, NodeId>> by_distance_;
};

}  // namespace

std::unique_ptr<Policy> make_policy(const std::string &name, const Trace &trace, const Nodes &nodes, const PolicyOptions &options) {
  if (name == "auto") return make_auto(trace, nodes, options);
  if (name == "reach") return make_reach(trace, nodes, options);
  if (name == "dead-reckoning") return make_dead_reckoning(trace, nodes, options);
  if (name == "vomm2") return make_vomm2(trace, nodes, options);
  if (name == "fomm5") return make_fomm5(trace, nodes, options);
  if (name == "reactive") return std::make_unique<Reactive>();
  if (name == "everywhere") return std::make_unique<Everywhere>(nodes);
  if (name.starts_with("nearest-"))
    if (int k = std::atoi(name.c_str() + 8); k >= 1) return std::make_unique<Nearest>(nodes, static_cast<size_t>(k));
  throw std::runtime_error("--policy " + name +
                           ": there are auto, reach, vomm2, fomm5, nearest-K, reactive, dead-reckoning, everywhere and oracle");
}

}  // namespace vectorshard::sim
