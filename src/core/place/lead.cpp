// How long a copy takes: see lead.hpp.
#include "core/place/lead.hpp"

#include <algorithm>

namespace vectorshard::place {

namespace {

constexpr double kNewest = 0.2;  // weight of the newest round trip
constexpr double kFade = 0.98;   // of a copy with each that follows: about the last fifty count
constexpr double kSpread = 0.01;  // least squared coefficient of variation of the sizes that a slope is taken from
constexpr double kClass = 1.5;
constexpr double kNearer = 2, kNearerS = 0.1;  // times, and seconds at least, that a holder must be nearer than the home

}  // namespace

void PathMeter::note_rtt(double seconds) {
  if (seconds <= 0) return;
  rtt_s_ = rtt_s_ > 0 ? rtt_s_ + kNewest * (seconds - rtt_s_) : seconds;
}

void PathMeter::note_copy(double bytes, double seconds) {
  for (double *sum : {&n_, &x_, &y_, &xx_, &xy_}) *sum *= kFade;
  n_ += 1;
  x_ += bytes;
  y_ += seconds;
  xx_ += bytes * bytes;
  xy_ += bytes * seconds;
}

Path PathMeter::path() const {
  Path p{rtt_s_, mean_s(), 0};
  double spread = n_ * xx_ - x_ * x_;
  if (n_ <= 0 || spread <= kSpread * x_ * x_) return p;
  double slope = (n_ * xy_ - x_ * y_) / spread;
  if (slope <= 0) return p;
  p.setup_s = (y_ - slope * x_) / n_;
  if (p.setup_s < 0) {  // all of it is bytes
    p.setup_s = 0;
    slope = y_ / x_;
  }
  p.bytes_per_s = 1 / slope;
  return p;
}

double copy_s(const Path &path, double bytes) {
  double moving = path.bytes_per_s > 0 ? bytes / path.bytes_per_s : 0;
  return std::max(2 * path.rtt_s, path.setup_s) + moving;
}

double lead_s(const LeadInput &in) {
  double copy = copy_s(in.path, in.bytes);
  if (in.path.setup_s <= 0 && in.path.bytes_per_s <= 0) copy = std::max(copy, in.fallback_s);
  return std::max(in.least_s, copy) + in.queue_s + in.thaw_s;
}

NodeId nearest_source(const Source &home, const std::vector<Source> &holders, double bytes, double setup_s) {
  NodeId best = home.node;
  double home_s = copy_s(home.path, bytes), best_s = std::min(home_s - kNearerS, home_s / kNearer);
  for (const Source &s : holders) {
    bool copied = s.path.setup_s > 0 || s.path.bytes_per_s > 0;
    if (!copied && s.path.rtt_s <= 0) continue;
    double takes_s = copied ? copy_s(s.path, bytes) : std::max(2 * s.path.rtt_s, setup_s);
    if (takes_s >= best_s) continue;
    best = s.node;
    best_s = takes_s;
  }
  return best;
}

std::vector<double> lead_classes(std::vector<double> leads, size_t most) {
  std::sort(leads.begin(), leads.end(), std::greater<>());
  std::vector<double> classes;
  for (double lead : leads)
    if (classes.empty() || (classes.size() < most && lead * kClass < classes.back())) classes.push_back(lead);
  std::reverse(classes.begin(), classes.end());
  return classes;
}

double class_of(const std::vector<double> &classes, double lead_s) {
  auto at = std::lower_bound(classes.begin(), classes.end(), lead_s);
  return at == classes.end() ? lead_s : *at;
}

}  // namespace vectorshard::place
