// Habits: see habit.hpp.
#include "core/predict/habit.hpp"

#include <algorithm>
#include <cmath>

namespace vectorshard::predict {

using telemetry::Habit;
using telemetry::HabitMove;
using telemetry::kHabitSteps;
using telemetry::Motion;

namespace {

constexpr double kLatest = 8;            // so many moves make an average
constexpr double kFirstSpread = 0.5;     // octaves, before anything is known of it
constexpr double kLeastSpread = 0.15;
constexpr double kOtherHours = 0.35;     // what a move counts that was never made at this time of the day
constexpr double kBackOff = 1;           // moves of order 1 count as so many of order 2
constexpr double kUnknown = 0.5;         // and so many are of what was never seen
constexpr double kLeastShare = 0.02;     // of all futures: less is not followed
constexpr int kDepth = 4;                // moves ahead
constexpr double kSkillMoves = 16;       // the skill is an average over so many moves
constexpr double kMostSkill = 4;         // and makes the evidence count so many times at most
constexpr uint16_t kOften = 4096;        // then all counts are halved

/// The bit of `hours` by the sun where the client is: Monday to Friday in the lower byte.
uint16_t hour_bit(double at_s, double lon) {
  double local = at_s + lon * 240;
  auto day = static_cast<int64_t>(std::floor(local / 86400));
  auto eighth = static_cast<int>((local - static_cast<double>(day) * 86400) / 10800);
  bool weekend = ((day + 3) % 7 + 7) % 7 >= 5;  // 1970 began on a Thursday
  return static_cast<uint16_t>(1 << (std::clamp(eighth, 0, 7) + (weekend ? 8 : 0)));
}

uint16_t steps(double octaves) { return static_cast<uint16_t>(std::clamp(octaves * kHabitSteps, 0.0, 65535.0)); }

/// Log-logistic dwell: a closed form whose tail is as heavy as those of stays.
struct Dwell {
  double middle, scale;  // of log2 seconds
  explicit Dwell(const HabitMove &m)
      : middle(m.dwell / kHabitSteps), scale(std::max(kLeastSpread, m.spread / kHabitSteps) * 0.72) {}  // mean distance = 2 ln 2 scales
  double share_by(double s) const { return s <= 0 ? 0 : 1 / (1 + std::exp((middle - std::log2(s)) / scale)); }
  double time_of(double share) const { return std::exp2(middle + scale * std::log(share / (1 - share))); }
};

struct Outcome {
  const HabitMove *move;
  double weight;  // of the moves that it is told by
};

/// What may come after `here`: moves of order 2, and those of order 1 for less.
std::vector<Outcome> outcomes(const Habit &h, uint16_t before, uint16_t here, uint16_t hour) {
  std::vector<Outcome> out;
  double first = 0;
  for (const HabitMove &m : h.moves) {
    if (m.times == 0 || m.here != here) continue;
    out.push_back({&m, m.times * ((m.hours & hour) != 0 ? 1 : kOtherHours)});
    if (m.before != before) first += out.back().weight;
  }
  double share = first > 0 ? std::min(1.0, kBackOff / first) : 0;
  for (Outcome &o : out)
    if (o.move->before != before) o.weight *= share;
  return out;
}

/// A move is made: how well it was foretold, before it is learned. What came here for the first time, nobody could have known.
void judge(Habit &h, NodeId next, uint16_t hour) {
  double all = kUnknown, right = 0;
  for (const Outcome &o : outcomes(h, h.before, h.here, hour)) {
    all += o.weight;
    if (o.move->next == next) right += o.weight;
  }
  if (all > kUnknown) h.skill = static_cast<uint16_t>(h.skill + (65535 * right / all - h.skill) / kSkillMoves);
}

/// How much more, or less, the habit's word counts than its moves do: cabs come by the same places again and go on elsewhere.
double trust(const Habit &h) {
  double skill = std::min(0.999, h.skill / 65536.0), odds = skill / (1 - skill);
  return std::min(kMostSkill, odds * odds);
}

void learn_move(Habit &h, NodeId next, double dwell_s, uint16_t hour) {
  judge(h, next, hour);
  double octaves = std::log2(std::max(1.0, dwell_s));
  auto it = std::find_if(h.moves.begin(), h.moves.end(), [&](const HabitMove &m) {
    return m.times > 0 && m.before == h.before && m.here == h.here && m.next == next;
  });
  if (it == h.moves.end()) {
    // The one made least often makes room, of those the longest ago.
    it = std::min_element(h.moves.rbegin(), h.moves.rend(), [](auto &a, auto &b) { return a.times < b.times; }).base() - 1;
    if (it->times > 1)  // all are rather old by now
      for (HabitMove &m : h.moves) m.times = static_cast<uint16_t>(m.times - m.times / 8);
    *it = {h.before, h.here, static_cast<uint16_t>(next), 0, steps(octaves), steps(kFirstSpread), 0};
  }
  it->times++;
  it->hours |= hour;
  double weight = 1 / std::min(kLatest, static_cast<double>(it->times)), off = octaves - it->dwell / kHabitSteps;
  it->dwell = steps(it->dwell / kHabitSteps + weight * off);
  it->spread = steps(it->spread / kHabitSteps + weight * (it->times > 1 ? std::fabs(off) - it->spread / kHabitSteps : 0));
  if (it->times >= kOften)
    for (HabitMove &m : h.moves) m.times = static_cast<uint16_t>((m.times + 1) / 2);
  std::rotate(h.moves.begin(), it, it + 1);
}

class Walk {
 public:
  Walk(const Motion &m, double ready_s, double until_s)
      : habit_(m.habit), serving_(m.serving), ready_s_(ready_s), until_s_(until_s), hour_(hour_bit(m.at_s, m.lon)) {}

  Habitual run(double stayed_s) {
    out_.evidence = follow(habit_.before, habit_.here, stayed_s, 0, 1, 0) * trust(habit_);
    for (Candidate &c : out_.candidates) {
      c.median_s /= c.soon_per_s;
      c.soon_per_s /= until_s_;
      c.rate_per_s /= until_s_ - ready_s_;
    }
    return std::move(out_);
  }

 private:
  /// Follows what comes after the client has been at `here` for `stayed_s`, `after_s` from now, with probability `share`. The
  /// evidence: moves that did not end before.
  double follow(uint16_t before, uint16_t here, double stayed_s, double after_s, double share, int depth) {
    std::vector<Outcome> all = outcomes(habit_, before, here, hour_);
    double left = 0;
    for (Outcome &o : all) left += o.weight *= 1 - Dwell(*o.move).share_by(stayed_s);
    if (left <= 0) return 0;
    for (const Outcome &o : all) {
      double of_all = share * o.weight / (left + kUnknown);
      if (o.move->next == 0 || of_all < kLeastShare) continue;
      arrive(o, stayed_s, after_s, of_all);
      if (depth + 1 < kDepth) go_on(o, here, stayed_s, after_s, of_all, depth);
    }
    return left;
  }

  void arrive(const Outcome &o, double stayed_s, double after_s, double share) {
    Dwell d(*o.move);
    double gone = d.share_by(stayed_s), rest = std::max(1e-9, 1 - gone);
    auto by = [&](double s) { return s <= after_s ? 0 : (d.share_by(stayed_s + s - after_s) - gone) / rest; };
    double soon = by(until_s_), far = soon - by(ready_s_);
    if (soon <= 0 || o.move->next == serving_) return;
    auto node = static_cast<NodeId>(o.move->next);
    auto it = std::find_if(out_.candidates.begin(), out_.candidates.end(), [&](auto &c) { return c.node == node; });
    if (it == out_.candidates.end()) it = out_.candidates.insert(it, Candidate{node, 1e300, 0, 0, 0, 0});
    double middle = after_s + d.time_of(gone + 0.5 * rest) - stayed_s;
    it->earliest_s = std::min(it->earliest_s, after_s + std::max(0.0, d.time_of(gone + 0.05 * rest) - stayed_s));
    it->median_s += middle * share * soon;
    it->soon_per_s += share * soon;
    it->rate_per_s += share * far;
  }

  void go_on(const Outcome &o, uint16_t here, double stayed_s, double after_s, double share, int depth) {
    Dwell d(*o.move);
    double gone = d.share_by(stayed_s);
    for (double part : {1.0 / 6, 0.5, 5.0 / 6}) {
      double at = after_s + d.time_of(gone + part * (1 - gone)) - stayed_s;
      if (at < until_s_) follow(here, o.move->next, 0, at, share / 3, depth + 1);
    }
  }

  const Habit &habit_;
  NodeId serving_;
  double ready_s_, until_s_;
  uint16_t hour_;
  Habitual out_;
};

}  // namespace

void learn_habit(Motion &m) {
  Habit &h = m.habit;
  if (m.at_s <= h.last_s) return;
  bool begins = h.session_s != m.session_s;
  if (begins) {
    if (h.here != 0) learn_move(h, kNoNode, h.last_s - h.since_s, hour_bit(h.last_s, m.lon));
    h.session_s = m.session_s;
    h.before = 0;
  } else if (h.here != m.serving) {
    learn_move(h, m.serving, m.serving_since_s - h.since_s, hour_bit(m.serving_since_s, m.lon));
    h.before = h.here;
  }
  if (begins || h.here != m.serving) {
    h.here = static_cast<uint16_t>(m.serving);
    h.since_s = begins ? m.session_s : m.serving_since_s;
  }
  h.last_s = m.at_s;
}

Habitual by_habit(const Motion &m, double ready_s, double until_s) {
  if (m.habit.here == 0 || m.habit.here != m.serving) return {};
  return Walk(m, ready_s, until_s).run(m.at_s - m.habit.since_s);
}

}  // namespace vectorshard::predict
