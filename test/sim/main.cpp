// vectorshard-check-sim: random histories of the fabric's protocol, each from a seed, checked at their end. Last line: how many, and
// what was wrong. A seed that fails is printed; SEED=n replays it with a trace.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>

#include "world.hpp"

namespace {

using namespace sim;

uint64_t number_of(const char *name, uint64_t none) {
  const char *s = std::getenv(name);
  return s && *s ? std::strtoull(s, nullptr, 10) : none;
}

Verdict history(uint64_t seed, const Rules &rules, bool trace, uint64_t *operations) {
  Random draw(seed ^ 0x5eed);
  World world(seed, drawn_profile(draw), rules, trace);
  Verdict v = world.run();
  *operations += world.operations;
  return v;
}

}  // namespace

int main() {
  Rules rules;
  if (uint64_t seed = number_of("SEED", 0)) {
    uint64_t operations = 0;
    Verdict v = history(seed, rules, true, &operations);
    std::printf("seed %llu: %s %s\n", static_cast<unsigned long long>(seed), v.bad() ? v.kind.c_str() : "ok", v.text.c_str());
    return v.bad();
  }
  uint64_t histories = number_of("HISTORIES", 2000), first = number_of("FIRST", 1);
  std::atomic<uint64_t> next{0}, operations{0}, bad{0};
  std::mutex print;
  auto work = [&] {
    for (uint64_t i; (i = next++) < histories;) {
      uint64_t done = 0;
      Verdict v = history(first + i, rules, false, &done);
      operations += done;
      if (!v.bad()) continue;
      std::lock_guard lock(print);
      if (bad++ < 20)
        std::printf("seed %llu: %s: %s\n", static_cast<unsigned long long>(first + i), v.kind.c_str(), v.text.c_str());
    }
  };
  std::thread second(work);
  work();
  second.join();
  std::printf("sim: histories=%llu operations=%llu bad=%llu\n", static_cast<unsigned long long>(histories),
              static_cast<unsigned long long>(operations.load()), static_cast<unsigned long long>(bad.load()));
  return bad != 0;
}
