// Adding up and quantiles.
#include "outcome.hpp"

#include <algorithm>
#include <cmath>

namespace vectorshard::demo {
namespace {

template <class T>
void append(std::vector<T> &to, const std::vector<T> &from) {
  to.insert(to.end(), from.begin(), from.end());
}

}  // namespace

void Outcome::add(const Outcome &other) {
  append(arrivals, other.arrivals);
  append(ahead, other.ahead);
  append(write_ms, other.write_ms);
  append(lag_ms, other.lag_ms);
  for (const auto &[what, count] : other.errors) errors[what] += count;
  reports += other.reports;
  writes += other.writes;
  retries += other.retries;
  stale_writes += other.stale_writes;
  missed_writes += other.missed_writes;
  wrong_reads += other.wrong_reads;
  needed_from_store += other.needed_from_store;
  back_in_time += other.back_in_time;
  sent_to_store += other.sent_to_store;
  back_by_prediction += other.back_by_prediction;
  back_by_access += other.back_by_access;
  surplus_sum += other.surplus_sum;
  idle_copies_sum += other.idle_copies_sum;
  samples += other.samples;
}

double Outcome::hit_ratio() const {
  if (arrivals.empty()) return 0;
  const auto hits = std::count_if(arrivals.begin(), arrivals.end(), [](const Arrival &a) { return a.hit; });
  return static_cast<double>(hits) / static_cast<double>(arrivals.size());
}

std::vector<double> access_ms(const Outcome &outcome, Which which) {
  std::vector<double> out;
  for (const Arrival &a : outcome.arrivals)
    if (which == Which::all || a.hit == (which == Which::hits)) out.push_back(a.access_ms);
  return out;
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  return values[std::clamp<size_t>(rank, 1, values.size()) - 1];
}

}  // namespace vectorshard::demo
