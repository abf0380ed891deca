// Draws from one generator in a fixed order: see plan.hpp.
#include "plan.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>

namespace vectorshard::histories {
namespace {

constexpr int kHotKeys = 6;
constexpr int kReferenceKeys = 8;

class Dice {
 public:
  explicit Dice(uint64_t seed) : engine_(seed) {}
  /// 0 … n-1. Not uniform_int_distribution, whose results differ between libraries.
  int roll(int n) { return static_cast<int>(engine_() % static_cast<uint64_t>(n)); }
  int between(int low, int high) { return low + roll(high - low + 1); }

 private:
  std::mt19937_64 engine_;
};

OpKind draw_kind(Dice &dice) {
  static constexpr std::pair<OpKind, int> kShares[] = {
      {OpKind::insert, 16}, {OpKind::upsert, 16}, {OpKind::update, 12}, {OpKind::rewrite, 14}, {OpKind::remove, 8}, {OpKind::rekey, 3},
      {OpKind::several, 10}, {OpKind::reference, 4}, {OpKind::remove_reference, 1}, {OpKind::add, 6}, {OpKind::read, 5},
      {OpKind::place, 3}, {OpKind::evict, 2}};
  int left = dice.roll(100);
  for (const auto &[kind, share] : kShares)
    if ((left -= share) < 0) return kind;
  throw std::logic_error("shares do not sum up to 100");
}

Touch draw_touch(Dice &dice, OpKind kind, int64_t &next_value) {
  Touch t;
  t.kind = kind;
  t.client = dice.roll(kClients);
  if (kind == OpKind::place || kind == OpKind::evict) t.client = dice.between(4, 8);
  t.value = next_value++;
  t.key = dice.roll(kHotKeys);
  if (kind == OpKind::insert) t.key = static_cast<int>(1000 + t.value % 1000000);
  if (kind == OpKind::reference || kind == OpKind::remove_reference) t.key = dice.roll(kReferenceKeys);
  return t;
}

Op draw_op(Dice &dice, int64_t &next_value) {
  Op op;
  op.kind = draw_kind(dice);
  if (op.kind != OpKind::several) {
    op.touches.push_back(draw_touch(dice, op.kind, next_value));
    return op;
  }
  static constexpr OpKind kParts[] = {OpKind::upsert, OpKind::update, OpKind::insert, OpKind::remove};
  for (int n = dice.between(2, 5); n > 0; n--) op.touches.push_back(draw_touch(dice, kParts[dice.roll(4)], next_value));
  return op;
}

Fault draw_fault(Dice &dice, FaultKind kind) {
  Fault f;
  f.kind = kind;
  f.a = dice.roll(kNodes);
  f.b = (f.a + 1 + dice.roll(kNodes - 1)) % kNodes;
  f.for_ms = dice.between(1000, 6000);
  if (kind == FaultKind::freeze) f.for_ms = dice.between(5000, 10000);
  if (kind == FaultKind::kill_server) f.for_ms = dice.between(0, 4000);
  if (kind == FaultKind::clock) {
    static constexpr double kAhead[] = {90, 90, 1, -1, -10, 4};
    f.amount = kAhead[dice.roll(6)];
    f.for_ms = dice.between(4000, 9000);
  }
  return f;
}

FaultKind draw_fault_kind(Dice &dice, const PlanOptions &options) {
  for (;;) {
    const auto kind = static_cast<FaultKind>(dice.roll(static_cast<int>(FaultKind::clock) + 1));
    if (kind == FaultKind::clock && !options.clocks) continue;
    if (options.only.empty() || options.only == name_of(kind)) return kind;
  }
}

}  // namespace

const char *name_of(FaultKind kind) {
  static constexpr const char *kNames[] = {"isolate",    "cut",         "cut_one_way", "reset",  "kill_worker", "kill_apply",
                                           "end_worker", "kill_server", "restart",     "freeze", "clock"};
  return kNames[static_cast<int>(kind)];
}

size_t Plan::operations() const {
  size_t n = 0;
  for (const auto &w : workers) n += w.size();
  return n;
}

bool Plan::fakes_clock(int node) const {
  return std::any_of(faults.begin(), faults.end(), [&](const Fault &f) { return f.kind == FaultKind::clock && f.a == node; });
}

Plan make_plan(uint64_t seed, int history, const PlanOptions &options) {
  Dice dice(seed);
  Plan plan;
  plan.seed = seed;
  plan.prefix = "h" + std::to_string(history) + "c";
  plan.length_ms = options.length_ms;
  plan.workers.resize(kNodes * kWorkersPerNode);
  int64_t next_value = int64_t{history} * 1000000 + 1;
  for (int i = 0; i < options.operations; i++) {
    Op op = draw_op(dice, next_value);
    op.at_ms = static_cast<int>(int64_t{options.length_ms} * i / options.operations);
    plan.workers[static_cast<size_t>(i) % plan.workers.size()].push_back(std::move(op));
  }
  const int slot = options.length_ms / (options.faults + 1);
  for (int i = 0; i < options.faults; i++) {
    Fault f = draw_fault(dice, draw_fault_kind(dice, options));
    // Faults overlap now and then: the next begins while this one lasts.
    f.at_ms = slot * i + slot / 2 + dice.roll(std::max(1, slot / 2));
    plan.faults.push_back(f);
  }
  return plan;
}

}  // namespace vectorshard::histories
