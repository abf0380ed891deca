// `auto`: what the extension does, from its own core: intake, filter, forecast, planner.
#include <algorithm>
#include <bit>

#include "../policies.hpp"
#include "core/place/planner.hpp"
#include "core/predict/forecast.hpp"
#include "core/predict/kalman.hpp"
#include "core/telemetry/intake.hpp"

namespace vectorshard::sim {

namespace {

class Auto : public Policy {
 public:
  Auto(const Trace &trace, const Nodes &nodes, const PolicyOptions &o)
      : nodes_(nodes), clients_(trace.clients.size()), settings_(settings(o)),
        learned_(nodes.count() + 1) {
    auto places = std::bit_ceil(static_cast<size_t>(o.get("places", 1024)));
    for (Learned &l : learned_) l.places.resize(places);
    plan_.min_rate = o.get("min_rate", plan_.min_rate);
    plan_.hold = o.get("hold", plan_.hold);
    plan_.max_candidates = static_cast<int>(o.get("max_candidates", plan_.max_candidates));
    plan_.words = false;
    for (const auto &site : nodes.sites) targets_.push_back({site.node, o.transfer_s, false});
  }

  void decide(const Step &step, std::vector<Want> &wants) override {
    const Fix &x = *step.fix;
    Client &c = clients_[x.client];
    telemetry::Report r{x.at_s, x.lat(), x.lon(), {}, {}};
    if (x.speed_mps >= 0) r.speed_mps = x.speed_mps;
    if (x.heading_deg >= 0) r.heading_deg = x.heading_deg;
    if (step.starts) {
      c.wishes.clear();
      c.since_s.clear();
    }
    if (step.before != kNoNode && step.before != step.serving) forecast(step.before).arrived(c.motion.trail, step.serving, x.at_s, step.transfer_s);
    telemetry::take(r, step.serving, c.motion);
    predict::observe(r, c.motion);
    forecast(step.serving).learn(c.motion, step.transfer_s);
    plan(c, x.at_s, step);
    for (const place::Wish &w : c.wishes) wants.push_back({w.node, w.until_s});
  }
  size_t bytes_per_client() const override { return sizeof(telemetry::Motion); }

 private:
  struct Client {
    telemetry::Motion motion;
    std::vector<place::Wish> wishes;
    std::vector<double> since_s;  // of each wish
  };

  struct Learned {
    predict::Ways ways;
    std::vector<predict::Crowd::Place> places;
  };
  predict::Forecast forecast(NodeId node) {
    Learned &l = learned_[static_cast<size_t>(node)];
    return {&l.ways, {l.places.data(), l.places.size()}, settings_};
  }

  static predict::ForecastSettings settings(const PolicyOptions &o) {
    predict::ForecastSettings s;
    s.window_s = o.get("window", s.window_s);
    s.cell_m = o.get("cell", s.cell_m);
    s.trust_s = o.get("trust", s.trust_s);
    return s;
  }

  static void forget(Client &c, size_t i) {
    c.wishes.erase(c.wishes.begin() + static_cast<std::ptrdiff_t>(i));
    c.since_s.erase(c.since_s.begin() + static_cast<std::ptrdiff_t>(i));
  }

  /// As the navigator does it, but for rows: wishes in force are those of the node that served the client before.
  void plan(Client &c, double now, const Step &step) {
    view_.copying.clear();
    for (size_t i = c.wishes.size(); i-- > 0;) {
      if (c.wishes[i].until_s <= now || c.wishes[i].node == step.serving)
        forget(c, i);
      else if (now < c.since_s[i] + step.transfer_s)
        view_.copying.push_back(c.wishes[i].node);
    }
    view_.now_s = now;
    view_.self = step.serving;
    view_.motion = &c.motion;
    view_.serving = true;
    view_.arrived = step.before != step.serving;
    view_.wishes = c.wishes;
    view_.candidates = predict::Forecast::candidates(c.motion, step.serving, *nodes_.map, step.transfer_s, forecast(step.serving).learned(c.motion), settings_);
    for (const place::Decision &d : place::plan(view_, targets_, plan_)) {
      if (d.node == step.serving || d.verdict == place::Verdict::refused) continue;
      auto w = std::find_if(c.wishes.begin(), c.wishes.end(), [&](const place::Wish &x) { return x.node == d.node; });
      if (d.verdict == place::Verdict::end) {
        forget(c, static_cast<size_t>(w - c.wishes.begin()));
      } else if (w != c.wishes.end()) {
        w->until_s = d.until_s;
      } else {
        c.wishes.push_back({d.node, d.until_s});
        c.since_s.push_back(now);
      }
    }
  }

  const Nodes &nodes_;
  std::vector<Client> clients_;
  std::vector<place::Target> targets_;
  place::PlanSettings plan_;
  place::ClientView view_;
  predict::ForecastSettings settings_;
  std::vector<Learned> learned_;  // by each node, from its own clients
};

}  // namespace

std::unique_ptr<Policy> make_auto(const Trace &trace, const Nodes &nodes, const PolicyOptions &options) {
  return std::make_unique<Auto>(trace, nodes, options);
}

}  // namespace vectorshard::sim
