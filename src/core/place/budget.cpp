// Budgets: see budget.hpp.
#include "core/place/budget.hpp"

#include <algorithm>
#include <cmath>

namespace vectorshard::place {

namespace {

constexpr double kBetter = 1.25;    // a copy goes only for one worth so much more
constexpr double kNewest = 0.2;     // weight of the newest job
constexpr double kNotable = 0.25;   // relative change that others should hear of
constexpr double kNotableS = 0.05;  // less than this is told by nobody's watch

/// `floor`: differences below it never matter.
bool differs(double a, double b, double floor) {
  if (a == b) return false;
  if (std::isinf(a) || std::isinf(b)) return true;
  return std::fabs(a - b) > std::max(floor, kNotable * std::min(std::fabs(a), std::fabs(b)));
}

bool differ(const Path &a, const Path &b) {
  return differs(a.rtt_s, b.rtt_s, kNotableS / 10) || differs(a.setup_s, b.setup_s, kNotableS) ||
         differs(a.bytes_per_s, b.bytes_per_s, 1e4);
}

}  // namespace

bool notable(const NodeState &told, const NodeState &now) {
  if (told.max_copies != now.max_copies || told.max_bytes != now.max_bytes || told.max_transfers != now.max_transfers) return true;
  if (told.full() != now.full()) return true;
  auto n = [](int64_t v) { return static_cast<double>(v); };
  // Near a limit each copy counts.
  double near = std::max(1.0, 0.05 * n(std::max<int64_t>(0, now.max_copies - now.residents)));
  if (std::fabs(n(told.residents - now.residents)) >= near || std::fabs(n(told.copies - now.copies)) >= std::max(1.0, 0.1 * n(now.copies)))
    return true;
  if (differs(n(told.residents), n(now.residents), 0)) return true;
  if (differs(n(told.bytes), n(now.bytes), 1e6) || differs(n(told.queue), n(now.queue), 8) || differs(told.queue_s, now.queue_s, kNotableS))
    return true;
  if (now.full() && differs(told.least_value, now.least_value, 0)) return true;
  for (auto &[source, path] : now.paths) {
    auto before = told.paths.find(source);
    if (before == told.paths.end() || differ(before->second, path)) return true;
  }
  return false;
}

int64_t reserve_of(int64_t bytes) {
  constexpr int64_t kLeast = 4096;
  return bytes + bytes / 4 + kLeast;
}

bool worth_replacing(double value, double held) {
  if (std::isinf(held)) return false;
  return value > held && (held <= 0 || value >= kBetter * held);
}

std::vector<size_t> replaced_for(double value, std::vector<HeldValue> held, int64_t copies, int64_t bytes) {
  std::erase_if(held, [&](const HeldValue &h) { return !h.may_go || !worth_replacing(value, h.value); });
  std::stable_sort(held.begin(), held.end(), [](auto &a, auto &b) { return a.value < b.value; });
  std::vector<size_t> out;
  for (const HeldValue &h : held) {
    if (copies <= 0 && bytes <= 0) break;
    out.push_back(h.which);
    copies--;
    bytes -= h.bytes;
  }
  if (copies > 0 || bytes > 0) out.clear();
  return out;
}

void Pace::note(double job_s, size_t clients) {
  if (clients == 0) return;
  double each = job_s / static_cast<double>(clients);
  client_s_ = client_s_ > 0 ? client_s_ + kNewest * (each - client_s_) : each;
}

double Pace::queue_s(size_t waiting, size_t jobs_at_once) const {
  return static_cast<double>(waiting) * client_s_ / static_cast<double>(std::max<size_t>(1, jobs_at_once));
}

}  // namespace vectorshard::place
