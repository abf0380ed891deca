// Time and network: see world.hpp.
#include "world.hpp"

#include <algorithm>
#include <cstdio>

namespace sim {

namespace {
constexpr int64_t kLookMs = 250, kCalmMs = 4000, kHealMs = 90000;
constexpr uint64_t kEventsMost = 60000;
}  // namespace

World::World(uint64_t seed, const Profile &p, const Rules &r, bool trace) : random(seed), profile(p), rules(r), trace_(trace) {
  nodes.emplace_back();
  for (NodeId n = 1; n <= profile.nodes + profile.spare; n++) nodes.push_back(std::make_unique<Node>(*this, n));
  for (auto &row : slow_)
    for (int &ms : row) ms = random.chance(profile.slow_links) ? profile.slow_delay_ms : profile.delay_ms;
  for (int64_t &ms : skew_) ms = profile.skew_ms ? random.between(-profile.skew_ms, profile.skew_ms) : 0;
}

World::~World() = default;

void World::after(NodeId n, int64_t ms, std::function<void()> what) {
  heap_.push_back({now_ + ms, ++order_, n, node(n).boot, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

int64_t World::delay(NodeId from, NodeId to) {
  return 1 + random.below(2 * slow_[from][to]);
}

void World::send(NodeId from, NodeId to, int64_t at, std::function<void()> what) {
  if (!linked(from, to) || (faults && random.chance(profile.loss))) return;
  heap_.push_back({at, ++order_, kNoNode, 0, [this, from, to, what = std::move(what)] {
                     if (linked(from, to) && node(to).up) what();
                   }});
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

void World::report(const std::string &kind, const std::string &text) {
  if (!fault.bad()) fault = {kind, text};
}

void World::say(NodeId n, const std::string &text) {
  if (trace_) std::printf("%8lld ms  node %d  %s\n", static_cast<long long>(now_), n, text.c_str());
}

void World::run_until(int64_t until) {
  while (!heap_.empty() && heap_.front().at <= until) {
    std::pop_heap(heap_.begin(), heap_.end(), Later());
    Event e = std::move(heap_.back());
    heap_.pop_back();
    now_ = std::max(now_, e.at);
    events_++;
    if (e.node == kNoNode || (node(e.node).up && node(e.node).boot == e.boot)) e.what();
  }
  now_ = std::max(now_, until);
}

bool World::settled() {
  return std::all_of(nodes.begin() + 1, nodes.end(), [&](const auto &n) { return !member(n->self()) || n->quiet(); });
}

/// In the fabric as the registrar knows it.
bool World::member(NodeId n) { return node(n).disk.in_fabric && !gone_[n]; }

Verdict World::run() {
  found();
  for (int i = 0; i < profile.operations && !fault.bad(); i++) {
    run_until(now_ + random.below(2 * profile.pause_ms));
    operation();
    operations++;
  }
  if (fault.bad()) return fault;
  heal();
  int64_t calm_since = now_, end = now_ + kHealMs;
  uint64_t most = events_ + kEventsMost;
  while (!fault.bad() && now_ - calm_since < kCalmMs) {
    run_until(now_ + kLookMs);
    if (!settled()) calm_since = now_;
    if (now_ < end && events_ < most) continue;
    for (auto &n : nodes)
      if (n && member(n->self()) && !n->quiet()) return {"stuck", "node " + std::to_string(n->self()) + " still has " + n->stuck_on()};
    break;
  }
  return fault.bad() ? fault : check();
}

}  // namespace sim
