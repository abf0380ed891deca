// The policy: see planner.hpp.
#include "core/place/planner.hpp"

#include <algorithm>
#include <cstdio>

#include "core/place/attention.hpp"
#include "core/place/budget.hpp"
#include "core/place/value.hpp"

namespace vectorshard::place {

namespace {

constexpr double kCandidateLife = 3;  // in look-aheads: reports may come late
constexpr double kWorthEndingS = 10;  // a wish that ends sooner by itself is left alone
constexpr double kLeadHalvesHoldS = 60;
constexpr double kMissLifeS = 60;

/// One run of the policy over one client; collects the decisions.
class Run {
 public:
  Run(const ClientView &client, const std::vector<Target> &targets, const PlanSettings &settings)
      : c_(client), targets_(targets), s_(settings) {}

  std::vector<Decision> decide() {
    serve();
    follow_policies();
    keep_copies();
    if (rests()) return std::move(out_);
    if (s_.predict && c_.serving && c_.motion) foresee();
    if (c_.motion) end_the_rest();
    return std::move(out_);
  }

 private:
  double serving_left_s() const { return serving_life_s(*c_.motion) - c_.silent_s; }
  /// Silent for so long that nothing is foreseen from its last report, and what is wished for its next session stays.
  bool rests() const { return c_.serving && c_.motion && c_.motion->reports > 0 && serving_left_s() <= 0; }
  Target target(NodeId node) const {
    for (const Target &t : targets_)
      if (t.node == node) return t;
    return {node};
  }
  double in_force_until(NodeId node) const {
    for (const Wish &w : c_.wishes)
      if (w.node == node) return w.until_s;
    return 0;
  }
  bool decided(NodeId node) const {
    return std::any_of(out_.begin(), out_.end(), [&](const Decision &d) { return d.node == node; });
  }
  bool holds(NodeId node) const { return std::find(c_.holders.begin(), c_.holders.end(), node) != c_.holders.end(); }
  bool copying(NodeId node) const { return std::find(c_.copying.begin(), c_.copying.end(), node) != c_.copying.end() && !ban(node); }
  /// The ban on a node now, or null.
  const Policy *ban(NodeId node) const {
    for (const Policy &p : c_.policies) {
      if (c_.now_s < p.from_s || c_.now_s >= p.to_s) continue;
      if (p.kind == PolicyKind::never && p.node == node) return &p;
      bool outside = p.kind == PolicyKind::region && std::find(p.nodes.begin(), p.nodes.end(), node) == p.nodes.end();
      if (outside && !(p.soon && holds(node))) return &p;
    }
    return nullptr;
  }
  void refuse(NodeId node, const std::string &why, double value = 0, double eta_s = 0) {
    out_.push_back({node, Verdict::refused, 0, why, value, eta_s, target(node).lead_s});
  }

  /// Wishes `node` for `life_s`, unless banned, full, or a wish in force lasts at least `enough_s` more.
  void want(NodeId node, double life_s, double enough_s, const std::string &reason, double value = kPriceless, double eta_s = 0) {
    if (decided(node)) return;
    Target t = target(node);
    if (const Policy *p = ban(node)) {
      refuse(node, "policy " + p->name + " bans it from the node", value, eta_s);
      out_.back().policy = p->name;
      return;
    }
    bool new_there = !holds(node) && in_force_until(node) <= c_.now_s;
    // Who serves a client is said by a full node too: the others must hear of it, and it is obeyed as soon as there is room.
    if (t.full && new_there && node != c_.self && !worth_replacing(value, t.least_value))
      return refuse(node, (t.least_value < kPriceless ? "the node is full of what is worth more (" : "the node is full (") + reason + ")", value, eta_s);
    if (s_.fabric_full && new_there && value < kPriceless)
      return refuse(node, "the fabric holds as many copies as it may (" + reason + ")", value, eta_s);
    double until = c_.now_s + life_s, in_force = in_force_until(node);
    bool lasts = in_force - c_.now_s >= enough_s;
    out_.push_back({node, lasts ? Verdict::covered : Verdict::wish, lasts ? in_force : until, reason, value, eta_s, t.lead_s});
  }

  void serve() {
    if (c_.serving && c_.motion) {
      double life = serving_left_s();
      // On arrival the row is written anew though one may be in force: it tells the others who serves the client now.
      if (life > 0) want(c_.self, life, c_.arrived ? 1e18 : life / 2, kServesReason);
    }
    if (c_.missed) want(c_.self, kMissLifeS, kMissLifeS / 2, "a query missed it here");
  }

  /// Wishes what a policy asks for.
  void follow(const Policy &p, NodeId node, double life_s, double enough_s, const std::string &reason) {
    size_t before = out_.size();
    want(node, life_s, enough_s, reason);
    if (out_.size() > before && out_.back().policy.empty()) out_.back().policy = p.name;
  }

  void follow_policies() {
    for (const Policy &p : c_.policies) {
      if ((p.kind != PolicyKind::hint && p.kind != PolicyKind::pin) || p.node == kNoNode || p.to_s <= c_.now_s) continue;
      double start = p.from_s - target(p.node).lead_s - (p.kind == PolicyKind::hint ? s_.margin_s : 0);
      if (c_.now_s < start) continue;
      const char *what = p.kind == PolicyKind::pin ? "pinned by policy " : "expected there by ";
      // The full remaining time at once: one row, however long.
      follow(p, p.node, p.to_s - c_.now_s, p.to_s - c_.now_s - 1, what + p.name);
    }
  }

  /// The policy that wants the most copies now, or null.
  const Policy *least_copies() const {
    const Policy *most = nullptr;
    for (const Policy &p : c_.policies)
      if (p.kind == PolicyKind::copies && p.from_s <= c_.now_s && c_.now_s < p.to_s && (!most || p.copies > most->copies)) most = &p;
    return most;
  }

  /// The home and what is wished already count; then the nearest nodes are asked, those first that hold it.
  void keep_copies() {
    const Policy *policy = c_.steward ? least_copies() : nullptr;
    if (!policy) return;
    int kept = 0;
    auto wished = [&](NodeId node) {
      return std::any_of(out_.begin(), out_.end(), [&](const Decision &d) { return d.node == node && d.verdict != Verdict::refused; });
    };
    for (NodeId node : c_.near) kept += node == c_.home || wished(node);
    std::string why = "policy " + policy->name + " keeps " + std::to_string(policy->copies) + " copies";
    for (bool holder : {true, false})
      for (NodeId node : c_.near) {
        if (kept >= policy->copies) return;
        if (node == c_.home || decided(node) || holds(node) != holder) continue;
        follow(*policy, node, kCopiesLifeS, kCopiesLifeS / 2, why);
        kept += out_.back().verdict != Verdict::refused;
      }
  }

  /// Likeliest first, as they are given; by what they save less what they cost, where nodes differ in that.
  std::vector<predict::Candidate> by_worth() const {
    std::vector<predict::Candidate> all = c_.candidates;
    auto worth = [&](const predict::Candidate &k) {
      Target t = target(k.node);
      return worth_per_h(k.rate_per_s, t.miss_s, s_.min_rate, t.price);
    };
    if (std::any_of(targets_.begin(), targets_.end(), [](const Target &t) { return t.miss_s != 1 || t.price != 1; }))
      std::stable_sort(all.begin(), all.end(), [&](auto &a, auto &b) { return worth(a) > worth(b); });
    return all;
  }

  /// Whether arrivals there save what a copy costs. One that is there, or under way, is kept for less, and for what it is good for
  /// until a new one could be there: given up, it would take the lead to have it again.
  bool worth_it(const predict::Candidate &k, const Target &t) const {
    return rate(k) * t.miss_s >= s_.min_rate * t.price * (there(k.node) ? s_.hold / (1 + t.lead_s / kLeadHalvesHoldS) : 1);
  }
  bool there(NodeId node) const { return in_force_until(node) > c_.now_s || holds(node); }
  double rate(const predict::Candidate &k) const { return there(k.node) ? std::max(k.soon_per_s, k.rate_per_s) : k.rate_per_s; }

  void foresee() {
    const telemetry::Motion &m = *c_.motion;
    double ahead = predict::look_ahead_s(m, s_.margin_s);
    int chosen = 0;
    for (const predict::Candidate &k : by_worth()) {
      if (decided(k.node)) continue;
      Target t = target(k.node);
      double worth = worth_per_h(rate(k), t.miss_s, s_.min_rate, t.price);  // a full node compares it with others that are there
      char may[240] = "";
      if (s_.words)
        std::snprintf(may, sizeof may, "may arrive in %.0f s (median %.0f s, confidence %.2f, %.2f arrivals in an hour of copies), a copy takes %.0f s; "
                      "saves %.2f s of waiting an hour, costs %.2f s",
                      k.earliest_s, k.median_s, k.confidence, k.rate_per_s * 3600, t.lead_s, k.rate_per_s * 3600 * t.miss_s,
                      s_.min_rate * 3600 * t.price);
      if (k.earliest_s - t.lead_s > ahead) {
        refuse(k.node, std::string("not yet: ") + may, worth, c_.now_s + k.median_s);
      } else if (!worth_it(k, t)) {
        refuse(k.node, std::string("too unlikely for what a copy costs: ") + may, worth, c_.now_s + k.median_s);
      } else if (chosen >= s_.max_candidates) {
        refuse(k.node, std::string("others are likelier: ") + may, worth, c_.now_s + k.median_s);
      } else {
        double enough = ahead + t.lead_s;  // until the next report and what it takes to act on it
        want(k.node, kCandidateLife * enough, enough, may, worth, c_.now_s + k.median_s);
        chosen += out_.back().verdict != Verdict::refused;
      }
    }
  }

  /// Ends our wishes that nothing above asked for.
  void end_the_rest() {
    for (const Wish &w : c_.wishes) {
      auto same = std::find_if(out_.begin(), out_.end(), [&](const Decision &d) { return d.node == w.node; });
      if (same != out_.end() && same->verdict != Verdict::refused) continue;
      if (w.until_s - c_.now_s <= kWorthEndingS || (c_.serving && copying(w.node))) continue;
      if (same == out_.end()) {
        same = out_.insert(out_.end(), Decision{w.node});
        same->reason = c_.serving ? "no longer on its way there" : "served elsewhere";
      }
      same->verdict = Verdict::end;
      same->until_s = c_.now_s;
    }
  }

  const ClientView &c_;
  const std::vector<Target> &targets_;
  const PlanSettings &s_;
  std::vector<Decision> out_;
};

}  // namespace

bool wants_copies(const std::vector<Policy> &policies, double now_s) {
  return std::any_of(policies.begin(), policies.end(), [&](const Policy &p) {
    return p.kind == PolicyKind::copies && p.from_s <= now_s && now_s < p.to_s && p.copies > 1;
  });
}

double longest_lead_s(const std::vector<Target> &targets) {
  double lead = 0;
  for (const Target &t : targets) lead = std::max(lead, t.lead_s);
  return lead;
}

std::vector<Decision> plan(const ClientView &client, const std::vector<Target> &targets, const PlanSettings &settings) {
  return Run(client, targets, settings).decide();
}

}  // namespace vectorshard::place
