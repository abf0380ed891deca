// Attention: see attention.hpp.
#include "core/place/attention.hpp"

#include <algorithm>

namespace vectorshard::place {

namespace {

constexpr double kServingLife = 3;  // in report intervals
constexpr double kServingFloorS = 30;
constexpr double kServingUnseenS = 3600;
constexpr double kUnseenPatienceS = 86400;  // habits foresee what comes after a night in one cell
constexpr double kSoonestS = 1, kNearSoonestS = 5;
constexpr double kRestShare = 0.02;  // of the time that it has been silent: what is to be expected changes ever more slowly
constexpr double kNearShare = 0.25;  // of what is looked ahead: so much of it passes before one that is near is predicted anew

}  // namespace

double serving_life_s(const telemetry::Motion &m) {
  return m.reports == 0 ? kServingUnseenS : std::max(kServingFloorS, kServingLife * m.interval_s);
}

double look_again_s(const telemetry::Motion &m, const Outlook &o) {
  double again = 1e300, looked = o.lead_s + o.ahead_s;
  if (o.clear_m > 0)
    again = m.at_s + o.clear_m / std::max(1.0, o.speed_mps) - looked;
  else if (m.reports > 0 || std::any_of(o.candidates.begin(), o.candidates.end(), [&](auto &c) { return c.earliest_s <= looked; }))
    again = o.now_s + std::max({kNearSoonestS, kNearShare * o.ahead_s, kRestShare * (o.now_s - m.at_s)});
  // Their times are from now on.
  for (const predict::Candidate &c : o.candidates)
    if (c.earliest_s > looked) again = std::min(again, o.now_s + c.earliest_s - looked);
  if (again > m.at_s + (m.reports == 0 ? kUnseenPatienceS : serving_life_s(m))) return 0;
  return std::max(again, o.now_s + kSoonestS);
}

}  // namespace vectorshard::place
