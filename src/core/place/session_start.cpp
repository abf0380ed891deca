// Session starts: see session_start.hpp.
#include "core/place/session_start.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/telemetry/types.hpp"

namespace vectorshard::place {

namespace {

constexpr char kFormat = 1;
constexpr double kDayS = 86400;
constexpr double kLonger = 1.5;
constexpr double kDoubt = 1;  // rests without a start that are imagined before anything was seen
constexpr int kMostCount = 250;
constexpr double kSoonestS = 20;  // between two decisions

int bin_of(double at_s) { return static_cast<int>(std::fmod(at_s, kDayS) / RestHabit::kBinS) % RestHabit::kBins; }
double bin_start(double at_s) { return std::floor(at_s / RestHabit::kBinS) * RestHabit::kBinS; }

/// -1: shorter than a pause.
int pause_of(double pause_s) {
  if (pause_s < telemetry::kSessionGapS) return -1;
  return std::min(RestHabit::kPauses - 1, static_cast<int>(std::log(pause_s / telemetry::kSessionGapS) / std::log(kLonger)));
}
double pause_start(int k) { return telemetry::kSessionGapS * std::pow(kLonger, k); }

}  // namespace

/// Both are halved when they are many: what is long ago fades.
void RestHabit::count(Seen &seen, bool began) {
  if (seen.silent >= kMostCount) {
    seen.silent /= 2;
    seen.began /= 2;
  }
  seen.silent++;
  seen.began = static_cast<uint8_t>(seen.began + began);
}

void RestHabit::note(double from_s, double to_s, bool here) {
  int last = pause_of(to_s - from_s);
  if (last < 0) return;
  for (int k = 0; k <= last; k++) count(pauses_[k], here && k == last);
  // Of a bin that it fell silent in, it was not silent when it began; nothing longer than some days says anything of a day.
  double first = std::max(bin_start(from_s) + kBinS, bin_start(to_s) - 7 * kDayS);
  for (double at = first; at <= to_s; at += kBinS) count(bins_[bin_of(at)], here && at + kBinS > to_s);
}

double StartOdds::chance() const { return began / (silent + kDoubt); }

StartOdds RestHabit::odds(double from_s, double at_s) const {
  const Seen &hour = bins_[bin_of(at_s)];
  StartOdds out{bin_start(at_s), bin_start(at_s) + kBinS, hour.silent, hour.began, false};
  if (int k = pause_of(at_s - from_s); k >= 0) {
    StartOdds pause{from_s + pause_start(k), from_s + pause_start(k + 1), pauses_[k].silent, pauses_[k].began, true};
    if (pause.rate() > out.rate()) out = pause;
  }
  return out;
}

double RestHabit::rate(double from_s, double at_s) const { return odds(from_s, at_s).rate(); }

double RestHabit::next_change(double from_s, double at_s) {
  double next = bin_start(at_s) + kBinS;
  int k = pause_of(at_s - from_s);
  if (k < kPauses - 1) next = std::min(next, from_s + pause_start(k + 1));
  return std::max(next, at_s + 1);
}

std::string RestHabit::encode() const {
  std::string out(1, kFormat);
  out.append(reinterpret_cast<const char *>(this), sizeof *this);
  return out;
}

std::optional<RestHabit> RestHabit::decode(std::string_view bytes) {
  if (bytes.size() != 1 + sizeof(RestHabit) || bytes[0] != kFormat) return std::nullopt;
  RestHabit h;
  memcpy(static_cast<void *>(&h), bytes.data() + 1, sizeof h);
  return h;
}

namespace {

bool worth_at_edge(double rate, const RestInput &in) { return rate * 3600 * in.miss_s >= in.edge_cost_h; }
bool worth_at_home(double rate, const RestInput &in) { return rate * 3600 * in.cold_miss_s >= in.home_cost_h && rate > 0; }

}  // namespace

std::optional<ExpectedStart> expected_start(const RestHabit &habit, const RestInput &in) {
  std::optional<ExpectedStart> out;
  for (double a = in.now_s; a < in.now_s + kDayS; a = std::max(RestHabit::next_change(in.from_s, a), a + 1)) {
    StartOdds odds = habit.odds(in.from_s, a);
    if (worth_at_edge(odds.rate(), in)) return ExpectedStart{odds, PlaceTier::edge, a - in.lead_s - in.thaw_s};
    if (worth_at_home(odds.rate(), in) && (!out || odds.rate() > out->odds.rate())) out = {odds, PlaceTier::home, a - in.thaw_s};
  }
  return out;
}

RestPlan plan_rest(const RestHabit &habit, const RestInput &in) {
  RestPlan plan;
  double best_home = 0, horizon = in.now_s + kDayS, change = horizon;
  bool found = false;
  // Each stretch of one rate, as the starts in it would find the rows; it is decided for so long before it begins as the rows take.
  for (double a = in.now_s; a < horizon && !found;) {
    double b = std::max(RestHabit::next_change(in.from_s, a), a + 1);
    double rate = habit.rate(in.from_s, a), due = a - in.lead_s - in.thaw_s;
    bool edge = worth_at_edge(rate, in), home = worth_at_home(rate, in);
    if (edge && due <= in.now_s) {
      if (plan.tier != PlaceTier::edge) plan = {PlaceTier::edge, b, (a + b) / 2, rate};
      else if (a <= plan.until_s) plan.until_s = b;
    } else if (edge) {
      change = std::min(change, due);
      found = true;
    } else if (home && plan.tier != PlaceTier::edge && a - in.thaw_s <= in.now_s && rate > best_home) {
      best_home = rate;
      plan = {PlaceTier::home, b, (a + b) / 2, rate};
    } else if (home && plan.tier == PlaceTier::cold) {
      change = std::min(change, a - in.thaw_s);
    }
    a = b;
  }
  if (plan.tier == PlaceTier::cold) plan.until_s = change;
  if (plan.tier == PlaceTier::home) plan.until_s = std::min(plan.until_s, change);
  plan.until_s = std::max(plan.until_s, in.now_s + kSoonestS);
  return plan;
}

}  // namespace vectorshard::place
