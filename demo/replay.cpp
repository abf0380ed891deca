// A thread takes its clients' steps in the order of their times and waits for each. When it is late it goes on at
// once; how late is part of the outcome.
#include "replay.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <thread>

#include "application.hpp"
#include "observer.hpp"
#include "progress.hpp"
#include "stop.hpp"

namespace vectorshard::demo {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kLookEveryS = 0.5;

struct Totals {
  std::atomic<int> arrivals = 0, hits = 0;
  std::atomic<bool> failed = false;
};

double wall_unix_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

struct Start {
  Clock::time_point at;
  double unix_s;
};

class Runner {
 public:
  Runner(const Fabric &fabric, Inspectors &inspectors, const ReplaySettings &settings, unsigned seed)
      : application_(fabric, inspectors, seed), settings_(settings) {}

  void take(FleetClient &client) {
    for (const Step &step : client.plan->steps) steps_.push_back({&client, &step, 0});
    const auto first = steps_.end() - static_cast<long>(client.plan->steps.size());
    for (auto it = first; it != steps_.end(); ++it) {
      const double since_s = it == first ? settings_.write_every_s : it->step->at_s - std::prev(it)->step->at_s;
      it->writes = std::clamp(since_s / settings_.write_every_s, 0.0, 2.0);
    }
  }

  void run(Start start, Totals &totals) {
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const Work &a, const Work &b) { return a.step->at_s < b.step->at_s; });
    for (const Work &work : steps_) {
      const double due_s = work.step->at_s / settings_.speed;
      wait_until(start.at + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(due_s)));
      if (totals.failed) return;
      lag_ms_.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start.at).count() - due_s * 1000);
      application_.run(*work.client, *work.step, start.unix_s + due_s, work.writes);
      if (!work.step->arrival) continue;
      totals.arrivals++;
      totals.hits += application_.last_was_hit();
    }
  }

  Outcome take_outcome() {
    Outcome outcome = application_.take_outcome();
    outcome.lag_ms = std::move(lag_ms_);
    return outcome;
  }

 private:
  struct Work {
    FleetClient *client;
    const Step *step;
    double writes;
  };
  static void wait_until(Clock::time_point due) {
    for (;;) {
      check_stop();
      const auto left = due - Clock::now();
      if (left <= Clock::duration::zero()) return;
      std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(200)));
    }
  }

  Application application_;
  ReplaySettings settings_;
  std::vector<Work> steps_;
  std::vector<double> lag_ms_;
};

std::string facts(const Totals &totals, const Observer &observer) {
  char text[160];
  const int arrivals = totals.arrivals;
  std::snprintf(text, sizeof text, "%zu clients active, %d arrivals, hit ratio %.2f, surplus %.2f, %lld in the store",
                observer.active_clients(), arrivals, arrivals ? static_cast<double>(totals.hits) / arrivals : 0.0,
                observer.outcome().surplus(), static_cast<long long>(observer.outcome().sent_to_store));
  return text;
}

}  // namespace

Outcome replay(const Fabric &fabric, const Plan &plan, Fleet &fleet, const ReplaySettings &settings,
               const std::string &title) {
  Inspectors inspectors(fabric);
  Observer observer(fabric, fleet);
  std::vector<std::unique_ptr<Runner>> runners;
  for (size_t i = 0; i < settings.threads; i++)
    runners.push_back(std::make_unique<Runner>(fabric, inspectors, settings, static_cast<unsigned>(i + 1)));
  for (size_t i = 0; i < fleet.clients.size(); i++) runners[i % runners.size()]->take(*fleet.clients[i]);

  Totals totals;
  std::atomic<size_t> running = runners.size();
  std::vector<std::exception_ptr> failures(runners.size());
  const Start start{Clock::now(), wall_unix_s()};
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < runners.size(); i++)
    threads.emplace_back([&, i] {
      try {
        runners[i]->run(start, totals);
      } catch (...) {
        failures[i] = std::current_exception();
        totals.failed = true;
      }
      running--;
    });
  Progress progress(title);
  try {
    while (running > 0) {
      observer.look();
      const double done_s = std::chrono::duration<double>(Clock::now() - start.at).count();
      progress.show(std::min(1.0, done_s * settings.speed / plan.length_s), facts(totals, observer));
      sleep_s(kLookEveryS);
    }
  } catch (...) {
    totals.failed = true;
    threads.clear();
    throw;
  }
  threads.clear();
  for (const auto &failure : failures)
    if (failure) std::rethrow_exception(failure);
  progress.finish();
  observer.count_returns();
  Outcome outcome = observer.outcome();
  for (const auto &runner : runners) outcome.add(runner->take_outcome());
  return outcome;
}

}  // namespace vectorshard::demo
