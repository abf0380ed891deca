// The forecast: see forecast.hpp.
#include "core/predict/forecast.hpp"

#include <algorithm>
#include <cmath>

#include "core/predict/habit.hpp"
#include "core/predict/kalman.hpp"
#include "core/predict/local_frame.hpp"

namespace vectorshard::predict {

using telemetry::Motion;
using telemetry::Stand;
using telemetry::Trail;

namespace {

constexpr double kLongestIntervalS = 300;
constexpr double kEnoughOfHorizon = 0.7;  // a way over so much of the horizon is as good as over all of it
constexpr double kOutweighed = 40;       // a habit that would count a fortieth is not asked
constexpr double kFarS = 86400, kLaterS = 10;
constexpr double kLeastRate = 1e-5;       // per second; less is nobody's candidate

struct Heading {
  double east = 1, north = 0, speed_mps = 0;
};

Heading heading_of(const Motion &m) {
  Velocity v = velocity(m);
  double speed = std::hypot(v.east, v.north);
  return speed > 0 ? Heading{v.east / speed, v.north / speed, speed} : Heading{};
}

Candidate &entry_of(std::vector<Candidate> &out, NodeId node) {
  auto it = std::find_if(out.begin(), out.end(), [&](const Candidate &c) { return c.node == node; });
  return it != out.end() ? *it : out.emplace_back(Candidate{node, 1e300, 0, 0, 0, 0});
}

/// What is looked at: where the client is after these times.
struct Reach {
  double horizon_s = 0;
  double ready_s = 0;  // a copy begun now is ready; before it only one that is there is of use
  double probes_s[4] = {};
  int count = 0;
  int too_early = 0;  // so many of the probes are not after ready_s
};

/// A copy begun now is ready after the lead; what comes before, it was too late for, and what comes after the window behind
/// that can be decided later. Where reports are rare the next one decides alone, and only where the client is then counts.
Reach reach(const Motion &m, double lead_s, const ForecastSettings &s) {
  double interval = std::clamp(m.interval_s, 1.0, kLongestIntervalS), window = std::max({interval, s.window_s, lead_s * s.window_of_lead});
  if (interval >= s.window_s && interval > lead_s) return {interval, 0, {interval}, 1, 0};
  double half = lead_s + window / 2, end = lead_s + window;
  if (lead_s < window) return {end, lead_s, {half, end}, 2, 0};
  return {end, lead_s, {lead_s / 2, lead_s, half, end}, 4, 2};
}

/// Arrivals by the ways of others, as shares of one client.
std::vector<Candidate> by_ways(const Motion &m, NodeId serving, const NodeAt &map, const Reach &r, const Ways::Pool &pool) {
  std::vector<Candidate> out;
  Heading h = heading_of(m);
  const Position here{m.lat, m.lon};
  const bool sphere = polar(here);
  const double lat_per_m = 1 / telemetry::kMetresPerDegree, lon_per_m = lat_per_m / std::cos(telemetry::radians(m.lat));
  // One cosine for all: this is the inner loop of a report.
  auto flat = [&](double x, double y) { return Position{m.lat + y * lat_per_m, std::remainder(m.lon + x * lon_per_m, 360.0)}; };
  const double each = 1.0 / pool.count, early_s = r.too_early > 0 ? r.ready_s : 0;
  for (const Way &w : pool) {
    double east = h.east * w.ahead_mps - h.north * w.aside_mps, north = h.north * w.ahead_mps + h.east * w.aside_mps;
    NodeId met[2] = {};
    for (int p = 0; p < r.count; p++) {
      double after = r.probes_s[p];
      Position there = sphere ? from_metres(here, {east * after, north * after}) : flat(east * after, north * after);
      NodeId node = map.node_at(there.lat, there.lon);
      if (node == serving || node == kNoNode || node == met[0] || node == met[1]) continue;
      met[met[0] == kNoNode ? 0 : 1] = node;
      Candidate &c = entry_of(out, node);
      c.earliest_s = std::min(c.earliest_s, p > 0 ? r.probes_s[p - 1] : 0);  // it was not there at the probe before
      c.median_s += after * each;                                            // sums until all are counted
      c.soon_per_s += each;
      if (p >= r.too_early) c.rate_per_s += each;
    }
  }
  for (Candidate &c : out) {
    c.median_s /= c.soon_per_s;
    c.soon_per_s /= r.horizon_s;
    c.rate_per_s /= r.horizon_s - early_s;
  }
  return out;
}

/// The more time was seen at the place, the less the ways count.
void correct_by_crowd(NodeId serving, const Reach &r, const Crowd::Place &place, double trust_s, std::vector<Candidate> &out) {
  double time = trust_s + static_cast<double>(place.seconds);
  for (Candidate &c : out) {
    c.rate_per_s *= trust_s / time;
    c.soon_per_s *= trust_s / time;
  }
  for (const Crowd::Moved &moved : place.moved) {
    if (moved.node == kNoNode || moved.node == serving) continue;
    Candidate &c = entry_of(out, moved.node);
    if (c.soon_per_s == 0) {
      c.earliest_s = 0;
      c.median_s = r.horizon_s;
    }
    c.rate_per_s += static_cast<double>(moved.times) / time;
    c.soon_per_s += static_cast<double>(moved.soon) / time;
  }
}

/// The longer the lead, the less speed and heading tell, and the more the client's own habit counts.
void fuse_habit(const Motion &m, double lead_s, const Reach &r, const ForecastSettings &s, std::vector<Candidate> &out) {
  double short_lead = s.habit_lead_s / std::max(1.0, lead_s), others = s.habit_moves * (1 + short_lead * short_lead);
  if (others > kOutweighed * s.habit_moves) return;
  Habitual own = by_habit(m, r.ready_s, r.horizon_s);
  double weight = own.evidence / (own.evidence + others);
  for (Candidate &c : out) {
    c.rate_per_s *= 1 - weight;
    c.soon_per_s *= 1 - weight;
  }
  for (const Candidate &h : own.candidates) {
    Candidate &c = entry_of(out, h.node);
    if (c.soon_per_s == 0) c.median_s = h.median_s;
    c.earliest_s = std::min(c.earliest_s, h.earliest_s);
    c.rate_per_s += weight * h.rate_per_s;
    c.soon_per_s += weight * h.soon_per_s;
  }
}

/// Of a client whose position is not known nothing else tells. What is likely only later is told with no rate, so that somebody
/// looks again then.
std::vector<Candidate> by_habit_alone(const Motion &m, const Reach &r) {
  std::vector<Candidate> out = by_habit(m, r.ready_s, r.horizon_s).candidates;
  std::erase_if(out, [](const Candidate &c) { return std::max(c.rate_per_s, c.soon_per_s) < kLeastRate; });
  for (Candidate &c : out) c.confidence = std::min(1.0, c.soon_per_s * r.horizon_s);
  for (const Candidate &later : by_habit(m, r.horizon_s, kFarS).candidates)
    if (std::none_of(out.begin(), out.end(), [&](const Candidate &c) { return c.node == later.node; }))
      out.push_back({later.node, std::max(later.earliest_s, r.horizon_s + kLaterS), later.median_s, 0, 0, 0});
  std::sort(out.begin(), out.end(), [](const Candidate &a, const Candidate &b) {
    return a.rate_per_s != b.rate_per_s ? a.rate_per_s > b.rate_per_s : a.node < b.node;
  });
  return out;
}

PlaceKey place_of(const Motion &m, const Heading &h, const ForecastSettings &s) {
  return place_key(m.lat, m.lon, h.east, h.north, h.speed_mps, s.cell_m);
}

}  // namespace

void Forecast::learn(Motion &m, double lead_s) {
  learn_habit(m);
  if (m.reports == 0) return;
  Trail &t = m.trail;
  Heading h = heading_of(m);
  const Stand *last = t.last();
  if (last && last->at_s == m.at_s) return;
  if (!last || m.session_s == m.at_s || last->at_s > m.at_s) {
    t = {};
  } else {
    // Where it came from elsewhere, that node counts the time: see left().
    if (last->serving == m.serving) crowd_.stayed(last->place, std::min(m.at_s - last->at_s, telemetry::kSessionGapS));
    learn_way(t.anchor, m, reach(m, lead_s, s_).horizon_s);
  }
  if (t.anchor.at_s == 0)
    t.anchor = {m.at_s, m.lat, m.lon, static_cast<float>(h.east), static_cast<float>(h.north), way_class(m, h.speed_mps)};
  t.note({m.at_s, place_of(m, h, s_), m.serving}, lead_s);
}

/// Once the client has gone on from the anchor for about the horizon; the anchor is used up then.
void Forecast::learn_way(telemetry::Anchor &from, const Motion &m, double horizon_s) {
  double dt = m.at_s - from.at_s;
  if (from.at_s == 0 || dt < kEnoughOfHorizon * horizon_s) return;
  auto [east, north] = to_metres({from.lat, from.lon}, {m.lat, m.lon});
  ways_->learn(from.way_class, {static_cast<float>((east * from.east + north * from.north) / dt),
                               static_cast<float>((north * from.east - east * from.north) / dt)});
  from = {};
}

void Forecast::left(const Trail &trail, double at_s) {
  const Stand *last = trail.last();
  if (last && at_s > last->at_s) crowd_.stayed(last->place, std::min(at_s - last->at_s, telemetry::kSessionGapS));
}

void Forecast::arrived(const Trail &trail, NodeId self, NodeId to, double at_s, double lead_s, double left_s) {
  if (self == to) return;
  const Stand *begin = at_s - lead_s < left_s ? trail.before(at_s - lead_s) : nullptr;
  const double span = lead_s + s_.window_s;
  for (int i = trail.count - 1; i >= 0; i--) {
    const Stand &s = trail.stands[i];
    double until = i + 1 < trail.count ? trail.stands[i + 1].at_s : std::min(at_s, left_s);
    if (until <= at_s - span && (!begin || &s < begin)) break;
    if (s.serving != self) continue;
    double within = std::max(0.0, until - std::max(s.at_s, at_s - span));
    crowd_.moved(s.place, to, &s == begin, static_cast<float>(within / span));
  }
}

Forecast::Learned Forecast::learned(const Motion &m) const {
  Heading h = heading_of(m);
  const Crowd::Place *place = crowd_.find(place_of(m, h, s_));
  return {ways_->of(way_class(m, h.speed_mps)), place ? *place : Crowd::Place{}};
}

std::vector<Candidate> Forecast::candidates(const Motion &m, NodeId serving, const NodeAt &map, double lead_s, const Learned &learned,
                                            const ForecastSettings &s, double silent_s) {
  Reach r = reach(m, silent_s + lead_s, s);
  if (m.reports == 0) return by_habit_alone(m, r);
  std::vector<Candidate> out = by_ways(m, serving, map, r, learned.ways);
  for (Candidate &c : out) c.rate_per_s /= 1 + lead_s / s.ways_lead_s;
  if (learned.place.key != 0) correct_by_crowd(serving, r, learned.place, s.trust_s, out);
  fuse_habit(m, lead_s, r, s, out);
  for (Candidate &c : out) c.confidence = std::min(1.0, c.soon_per_s * r.horizon_s);
  std::erase_if(out, [](const Candidate &c) { return std::max(c.rate_per_s, c.soon_per_s) < kLeastRate; });
  std::sort(out.begin(), out.end(), [](const Candidate &a, const Candidate &b) {
    return a.rate_per_s != b.rate_per_s ? a.rate_per_s > b.rate_per_s : a.node < b.node;
  });
  return out;
}

}  // namespace vectorshard::predict
