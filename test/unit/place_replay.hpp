// A replay of reports through intake, filter, reach set and planner, with copies that take a fixed time: measures the
// hit ratio on arrival and the surplus copies of the policy, as the extension would run it. For tests and for tuning.
#pragma once
#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "core/place/areas.hpp"
#include "core/place/planner.hpp"
#include "core/predict/kalman.hpp"
#include "core/predict/reach_set.hpp"
#include "core/telemetry/intake.hpp"

namespace vectorshard::place_replay {

struct Point {
  double at_s, lat, lon;
};

struct Settings {
  double copy_s = 5;   // a copy is ready this long after its wish
  double keep_s = 0;   // and lives this long after its last wish
  place::PlanSettings plan;
};

struct Figures {
  uint64_t arrivals = 0, hits = 0, copies = 0, wishes = 0, reports = 0;
  double session_s = 0, surplus_s = 0, offline_s = 0;
  double hit_ratio() const { return arrivals ? double(hits) / double(arrivals) : 0; }
  double surplus() const { return session_s > 0 ? surplus_s / session_s : 0; }
  double surplus_with_offline() const { return session_s > 0 ? (surplus_s + offline_s) / session_s : 0; }
};

class Replay {
 public:
  Replay(const place::NodeMap &map, Settings settings) : map_(map), s_(settings) {
    for (const auto &site : map.sites()) targets_.push_back({site.node, s_.copy_s, false});
  }

  /// Replays one client's track, oldest first, and adds to figures().
  void client(const std::vector<Point> &track) {
    motion_ = {};
    wishes_.clear();
    copies_.clear();
    for (const Point &p : track) report(p);
    account(1e18, kNoNode, false);
  }
  const Figures &figures() const { return f_; }

 private:
  struct Copy {
    double start, until;
  };

  void report(const Point &p) {
    telemetry::Report r{p.at_s, p.lat, p.lon, {}, {}};
    if (telemetry::check_plausible(r, motion_, p.at_s, {})) return;
    f_.reports++;
    NodeId serving = map_.node_at(p.lat, p.lon), before = motion_.serving;
    bool in_session = motion_.at_s > 0 && p.at_s - motion_.at_s <= telemetry::kSessionGapS;
    double previous = motion_.at_s;
    if (motion_.at_s > 0) account(p.at_s, before, in_session);
    if (in_session) f_.session_s += p.at_s - previous;
    telemetry::take(r, serving, motion_);
    predict::observe(r, motion_);
    bool arrived = serving != before;
    if (arrived && in_session) {
      f_.arrivals++;
      auto it = copies_.find(serving);
      f_.hits += it != copies_.end() && it->second.start + s_.copy_s <= p.at_s;
    }
    plan(p.at_s, serving, before);
  }

  void plan(double now, NodeId serving, NodeId before) {
    place::ClientView view;
    view.now_s = now;
    view.self = serving;
    view.motion = &motion_;
    view.serving = true;
    view.arrived = serving != before;
    plan_at(view);
    if (before == serving || before == kNoNode) return;
    view.self = before;  // the old planner hears who serves now
    view.serving = view.arrived = false;
    plan_at(view);
  }

  void plan_at(place::ClientView &view) {
    auto &own = wishes_[view.self];
    view.wishes.clear();
    for (const auto &[node, until] : own)
      if (until > view.now_s) view.wishes.push_back({node, until});
    view.candidates.clear();
    if (view.serving && s_.plan.predict && !telemetry::parked(motion_))
      view.candidates = predict::reach_set(motion_, view.self, map_,
                                           s_.copy_s + predict::look_ahead_s(motion_, s_.plan.margin_s));
    for (const auto &d : place::plan(view, targets_, s_.plan)) {
      if (d.verdict != place::Verdict::wish && d.verdict != place::Verdict::end) continue;
      f_.wishes++;
      own[d.node] = d.until_s;
      if (d.verdict == place::Verdict::wish) f_.copies += copies_.try_emplace(d.node, Copy{view.now_s, 0}).second;
    }
    for (auto &[node, copy] : copies_) {
      double last = 0;
      for (const auto &[planner, of] : wishes_)
        if (auto it = of.find(node); it != of.end()) last = std::max(last, it->second);
      copy.until = last + s_.keep_s;
    }
  }

  /// Counts the copies other than the serving one since the last report, and drops what ended.
  void account(double now, NodeId serving, bool in_session) {
    for (auto it = copies_.begin(); it != copies_.end();) {
      double from = std::max(motion_.at_s, it->second.start), to = std::min(now, it->second.until);
      if (to > from && it->first != serving) (in_session ? f_.surplus_s : f_.offline_s) += to - from;
      it = it->second.until <= now ? copies_.erase(it) : std::next(it);
    }
  }

  const place::NodeMap &map_;
  Settings s_;
  std::vector<place::Target> targets_;
  telemetry::Motion motion_;
  std::map<NodeId, std::map<NodeId, double>> wishes_;  // planner -> node -> until
  std::map<NodeId, Copy> copies_;
  Figures f_;
};

}  // namespace vectorshard::place_replay
