// vectorshard-check-sim: random histories of the fabric's protocol, each from a seed, checked at their end; then the wrong
// rules that must be caught, and the interleavings. Settings come from the environment (see `make sim` in CONTRIBUTING.md):
//   HISTORIES=n  how many (2000)        FIRST=n  the first seed (1)
//   SEED=n       replays one, with a trace
//   PLANTED=name with this rule of planted.cpp or scenarios.cpp planted, in its histories
// Prints "ok …" and "not ok …" lines; the last line sums up.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "planted.hpp"
#include "world.hpp"

namespace {

using namespace sim;

constexpr uint64_t kSeedsMost = 2000, kSeedsWithRule = 150;

uint64_t number_of(const char *name, uint64_t none) {
  const char *s = std::getenv(name);
  return s && *s ? std::strtoull(s, nullptr, 10) : none;
}

struct Total {
  std::atomic<uint64_t> histories{0}, operations{0}, diverged{0}, lost{0}, other{0};
};

Verdict history(uint64_t seed, const Rules &rules, void (*adapt)(Profile &), bool trace, Total *total) {
  Random draw(seed ^ 0x5eed);
  Profile profile = drawn_profile(draw);
  if (adapt) adapt(profile);
  World world(seed, profile, rules, trace);
  Verdict v = world.run();
  if (total) {
    total->histories++;
    total->operations += world.operations;
    if (v.bad()) (v.kind == "diverged" ? total->diverged : v.kind == "lost" ? total->lost : total->other)++;
  }
  return v;
}

/// Runs `what(i)` for i in [0, n) on two threads, until one says that it is enough.
template <class F>
void on_two_threads(uint64_t n, F &&what) {
  std::atomic<uint64_t> next{0};
  std::atomic<bool> enough{false};
  auto work = [&] {
    for (uint64_t i; !enough && (i = next++) < n;)
      if (what(i)) enough = true;
  };
  std::thread second(work);
  work();
  second.join();
}

std::mutex printing;

void print_failure(const char *name, uint64_t seed, const Verdict &v) {
  std::lock_guard lock(printing);
  std::printf("not ok %s: seed %llu: %s: %s\n", name, static_cast<unsigned long long>(seed), v.kind.c_str(), v.text.c_str());
}

void run_histories(uint64_t first, uint64_t n, const char *name, void (*adapt)(Profile &), Total &total) {
  static const Rules rules;
  on_two_threads(n, [&](uint64_t i) {
    Verdict v = history(first + i, rules, adapt, false, &total);
    if (v.bad()) print_failure(name, first + i, v);
    return false;
  });
}

/// The first seed that fails, 0 if none does.
uint64_t first_caught(const Planted &p, Verdict *verdict) {
  uint64_t found = 0;
  on_two_threads(kSeedsMost, [&](uint64_t i) {
    Verdict v = history(1 + i, *p.rules, p.profile, false, nullptr);
    if (!v.bad()) return false;
    std::lock_guard lock(printing);
    if (found == 0 || 1 + i < found) {
      found = 1 + i;
      *verdict = v;
    }
    return true;
  });
  return found;
}

int count_caught(const std::vector<Planted> &all, const char *what) {
  int caught = 0;
  for (const Planted &p : all) {
    Verdict v;
    uint64_t seed = first_caught(p, &v);
    caught += seed != 0;
    std::string name = p.interleaving.empty() ? p.name : p.interleaving + " " + p.name;
    if (seed)
      std::printf("ok %s %s: caught at seed %llu (%s)\n", what, name.c_str(), static_cast<unsigned long long>(seed), v.kind.c_str());
    else
      std::printf("not ok %s %s: not caught in %llu seeds\n", what, name.c_str(), static_cast<unsigned long long>(kSeedsMost));
    std::fflush(stdout);
  }
  return caught;
}

int replay(uint64_t seed) {
  static const Rules good;
  const Rules *rules = &good;
  void (*adapt)(Profile &) = nullptr;
  const char *planted = std::getenv("PLANTED"), *profile = std::getenv("PROFILE");
  for (const auto *list : {&planted_rules(), &scenarios()})
    for (const Planted &p : *list) {
      if (planted && p.name == planted) rules = p.rules.get();
      if ((planted && p.name == planted) || (profile && p.name == profile)) adapt = p.profile;
    }
  Verdict v = history(seed, *rules, adapt, true, nullptr);
  std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), v.bad() ? (v.kind + ": " + v.text).c_str() : "ok");
  return v.bad();
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  if (uint64_t seed = number_of("SEED", 0)) return replay(seed);
  Total total;
  run_histories(number_of("FIRST", 1), number_of("HISTORIES", 2000), "histories", nullptr, total);
  uint64_t bad = total.diverged + total.lost + total.other;
  if (bad == 0) std::printf("ok histories\n");
  for (const Planted &p : scenarios()) {
    Total own;
    run_histories(1, kSeedsWithRule, p.name.c_str(), p.profile, own);
    if (own.diverged + own.lost + own.other == 0) std::printf("ok histories of %s\n", p.name.c_str());
    total.histories += own.histories;
    total.operations += own.operations;
    total.diverged += own.diverged;
    total.lost += own.lost;
    total.other += own.other;
  }
  int interleavings = count_caught(scenarios(), "interleaving");
  int caught = count_caught(planted_rules(), "planted");
  std::printf("sim: histories=%llu operations=%llu diverged=%llu lost=%llu other=%llu interleavings_caught=%d/%zu planted_caught=%d/%zu\n",
              static_cast<unsigned long long>(total.histories), static_cast<unsigned long long>(total.operations),
              static_cast<unsigned long long>(total.diverged), static_cast<unsigned long long>(total.lost),
              static_cast<unsigned long long>(total.other), interleavings, scenarios().size(), caught, planted_rules().size());
  bool all = total.diverged + total.lost + total.other == 0 && caught == static_cast<int>(planted_rules().size()) &&
             interleavings == static_cast<int>(scenarios().size());
  return all ? 0 : 1;
}
