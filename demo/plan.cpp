// The window is chosen in steps of five minutes; a client counts in a step when it moved there. Session openings,
// arrivals and parking follow from the reports alone.
#include "plan.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

namespace vectorshard::demo {
namespace {

constexpr double kBucketS = 300;
constexpr double kMovedM = 100;        // moved within a bucket
constexpr double kParkedS = 300;       // parked: this long ...
constexpr double kParkedM = 60;        // ... within this distance
constexpr double kOpenAfterS = 10;     // a session opens so long after its first report, at least
constexpr double kOpenSpreadS = 10;    // and at most this much later
constexpr size_t kFewestReports = 10;  // fewer in the window: not worth replaying

size_t bucket_of(double unix_s, double start_s) { return static_cast<size_t>((unix_s - start_s) / kBucketS); }

/// For each five minutes of the trace: how many clients moved.
std::vector<int> activity(const Trace &trace, double start_s, double end_s) {
  std::vector<int> moving(bucket_of(end_s, start_s) + 1, 0);
  for (const Track &track : trace.tracks) {
    std::set<size_t> seen;
    for (size_t i = 1; i < track.reports.size(); i++) {
      const Report &a = track.reports[i - 1], &b = track.reports[i];
      if (b.unix_s - a.unix_s < kSessionGapS && distance_m(a.at, b.at) > kMovedM)
        seen.insert(bucket_of(b.unix_s, start_s));
    }
    for (const size_t b : seen) moving[b]++;
  }
  return moving;
}

double busiest_start(const Trace &trace, double length_s) {
  double start_s = trace.tracks[0].reports.front().unix_s, end_s = start_s;
  for (const Track &track : trace.tracks) {
    start_s = std::min(start_s, track.reports.front().unix_s);
    end_s = std::max(end_s, track.reports.back().unix_s);
  }
  const auto moving = activity(trace, start_s, end_s);
  const size_t width = std::max<size_t>(1, static_cast<size_t>(std::ceil(length_s / kBucketS)));
  size_t best = 0;
  long best_sum = -1;
  for (size_t first = 0; first == 0 || first + width <= moving.size(); first++) {
    long sum = 0;
    for (size_t i = first; i < std::min(first + width, moving.size()); i++) sum += moving[i];
    if (sum > best_sum) {
      best_sum = sum;
      best = first;
    }
  }
  return start_s + static_cast<double>(best) * kBucketS;
}

std::vector<Report> cut(const Track &track, double from_s, double to_s) {
  std::vector<Report> out;
  for (const Report &r : track.reports)
    if (r.unix_s >= from_s && r.unix_s < to_s) out.push_back(r);
  return out;
}

bool parked(const std::vector<Report> &reports, size_t i) {
  for (size_t j = i; j-- > 0;) {
    if (distance_m(reports[j].at, reports[i].at) > kParkedM) return false;
    if (reports[i].unix_s - reports[j].unix_s >= kParkedS) return true;
  }
  return false;
}

/// A number from 0 to 1 that depends on the client and the report alone.
double fraction(const std::string &client, size_t i) {
  return static_cast<double>((std::hash<std::string>()(client) ^ (i * 0x9E3779B97F4A7C15ull)) % 1000) / 1000;
}

ClientPlan plan_client(const std::string &client, const std::vector<Report> &reports,
                       const std::vector<Point> &nodes, double start_s) {
  ClientPlan plan{client, {}, 0};
  bool open = false;
  size_t served = nodes.size();  // none yet
  double open_s = 0;
  auto arrive = [&](Step &step) {
    step.arrival = step.node != served;
    served = step.node;
  };
  for (size_t i = 0; i < reports.size(); i++) {
    const Report &r = reports[i];
    const double pause_s = i == 0 ? kSessionGapS + 1 : r.unix_s - reports[i - 1].unix_s;
    if (i > 0) plan.longest_pause_s = std::max(plan.longest_pause_s, pause_s);
    if (pause_s > kSessionGapS) {
      open = false;
      open_s = r.unix_s + kOpenAfterS + kOpenSpreadS * fraction(client, i);
    }
    Step step{Step::Kind::report, r.unix_s - start_s, r, nearest(nodes, r.at)};
    if (open) arrive(step);
    step.moving = open && !parked(reports, i);
    const bool ends = i + 1 == reports.size() || reports[i + 1].unix_s - r.unix_s > kSessionGapS;
    step.last = ends && open;
    plan.steps.push_back(step);
    if (!open && (ends || reports[i + 1].unix_s > open_s)) {
      Step opening{Step::Kind::open, std::max(open_s, r.unix_s) - start_s, r, step.node};
      arrive(opening);
      opening.starts = opening.arrival;
      opening.moving = true;
      opening.last = ends;
      plan.steps.push_back(opening);
      open = true;
    }
  }
  return plan;
}

}  // namespace

Plan make_plan(const Trace &trace, const std::vector<Point> &nodes, const PlanWishes &wishes) {
  Plan plan;
  plan.start_unix_s = busiest_start(trace, wishes.length_s);
  plan.length_s = wishes.length_s;
  std::vector<ClientPlan> all;
  for (const Track &track : trace.tracks) {
    const auto reports = cut(track, plan.start_unix_s, plan.start_unix_s + plan.length_s);
    if (reports.size() >= kFewestReports)
      all.push_back(plan_client(track.client, reports, nodes, plan.start_unix_s));
  }
  if (all.empty()) throw std::runtime_error("no client has enough reports in the busiest stretch of the trace");
  std::stable_sort(all.begin(), all.end(),
                   [](const ClientPlan &a, const ClientPlan &b) { return a.steps.size() > b.steps.size(); });
  const auto rest = all.begin() + static_cast<long>(std::min(wishes.clients, all.size()));
  std::stable_sort(rest, all.end(), [](const ClientPlan &a, const ClientPlan &b) {
    return a.longest_pause_s > b.longest_pause_s;
  });
  for (auto it = all.begin(); it != all.end(); ++it) {
    if (it >= rest && (static_cast<size_t>(it - rest) >= wishes.pausing_clients || it->longest_pause_s < wishes.pause_s))
      break;
    for (const Step &step : it->steps) {
      plan.reports += step.kind == Step::Kind::report;
      plan.arrivals += step.arrival;
      plan.session_starts += step.starts;
    }
    plan.clients.push_back(std::move(*it));
  }
  return plan;
}

}  // namespace vectorshard::demo
