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
      : nodes_(nodes), clients_(trace.clients.size()), linger_s_(o.get("linger", 0)), settings_(settings(o)),
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
    if (step.starts) c.copies.clear();
    if (step.before != kNoNode && step.before != step.serving) arrived(c.motion.trail, step);
    telemetry::take(r, step.serving, c.motion);
    predict::observe(r, c.motion);
    forecast(step.serving).learn(c.motion, step.transfer_s);
    plan(c, x.at_s, step);
    for (const Copy &k : c.copies) wants.push_back({k.node, std::max(k.wished_until_s, k.kept_until_s)});
  }
  size_t bytes_per_client() const override { return sizeof(telemetry::Motion); }

 private:
  /// A copy as the replay has it: while a wish is in force, and then for as long as holders keep it.
  struct Copy {
    NodeId node = kNoNode;
    double since_s = 0, wished_until_s = 0, kept_until_s = 0;
  };
  struct Client {
    telemetry::Motion motion;
    std::vector<Copy> copies;
  };

  struct Learned {
    predict::Ways ways;
    std::vector<predict::Crowd::Place> places;
  };
  predict::Forecast forecast(NodeId node) {
    Learned &l = learned_[static_cast<size_t>(node)];
    return {&l.ways, {l.places.data(), l.places.size()}, settings_};
  }

  void arrived(const telemetry::Trail &trail, const Step &step) {
    forecast(step.before).left(trail, step.fix->at_s);
    std::vector<NodeId> &heard = heard_;  // each node that it came by learns for its own places
    heard.clear();
    for (int i = 0; i < trail.count; i++) {
      NodeId n = trail.stands[i].serving;
      if (std::find(heard.begin(), heard.end(), n) != heard.end()) continue;
      heard.push_back(n);
      forecast(n).arrived(trail, n, step.serving, step.fix->at_s, step.transfer_s);
    }
  }

  static predict::ForecastSettings settings(const PolicyOptions &o) {
    predict::ForecastSettings s;
    s.window_s = o.get("window", s.window_s);
    s.window_of_lead = o.get("window_of_lead", s.window_of_lead);
    s.ways_lead_s = o.get("ways_lead", s.ways_lead_s);
    s.cell_m = o.get("cell", s.cell_m);
    s.habit_moves = o.get("habit_moves", s.habit_moves);
    s.habit_lead_s = o.get("habit_lead", s.habit_lead_s);
    s.trust_s = o.get("trust", s.trust_s);
    return s;
  }

  /// As the navigator does it, but for rows: wishes in force are those of the node that served the client before.
  void plan(Client &c, double now, const Step &step) {
    view_.copying.clear();
    view_.holders.clear();
    view_.wishes.clear();
    std::erase_if(c.copies, [&](const Copy &k) { return k.node == step.serving || std::max(k.wished_until_s, k.kept_until_s) <= now; });
    for (const Copy &k : c.copies) {
      view_.holders.push_back(k.node);
      if (now < k.since_s + step.transfer_s) view_.copying.push_back(k.node);
      if (k.wished_until_s > now) view_.wishes.push_back({k.node, k.wished_until_s});
    }
    view_.now_s = now;
    view_.self = step.serving;
    view_.motion = &c.motion;
    view_.serving = true;
    view_.arrived = step.before != step.serving;
    view_.candidates = predict::Forecast::candidates(c.motion, step.serving, *nodes_.map, step.transfer_s, forecast(step.serving).learned(c.motion), settings_);
    for (const place::Decision &d : place::plan(view_, targets_, plan_)) {
      if (d.node == step.serving || d.verdict == place::Verdict::refused) continue;
      auto k = std::find_if(c.copies.begin(), c.copies.end(), [&](const Copy &x) { return x.node == d.node; });
      if (k == c.copies.end()) k = c.copies.insert(k, Copy{d.node, now, 0, 0});
      k->wished_until_s = d.until_s;
      k->kept_until_s = std::max(k->since_s, d.until_s) + linger_s_;
    }
  }

  const Nodes &nodes_;
  std::vector<Client> clients_;
  std::vector<place::Target> targets_;
  std::vector<NodeId> heard_;
  double linger_s_;  // how long holders keep a copy after its last wish, at least
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
