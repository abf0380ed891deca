// A thread takes its clients' steps in the order of their times and waits for each. When it is late it goes on at
// once; how late is part of the outcome.
#include "replay.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <future>
#include <thread>

#include "application.hpp"
#include "observer.hpp"
#include "progress.hpp"
#include "schema.hpp"
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

/// The clock of the replay. When this machine cannot keep up it goes slower for everybody, instead of letting clients
/// report a past that the extension would rightly take for late.
class ReplayClock {
 public:
  explicit ReplayClock(double speed) : start_(Clock::now()), unix_s_(wall_unix_s()), speed_(speed) {}

  Clock::time_point due(double trace_s) const {
    const std::chrono::duration<double> after(trace_s / speed_ + slip_s_);
    return start_ + std::chrono::duration_cast<Clock::duration>(after);
  }
  /// The wall-clock time at which a step happens.
  double unix_s(double trace_s) const { return unix_s_ + trace_s / speed_ + slip_s_; }
  /// How late a step is; beyond kMostLateS the clock is put back.
  double late_s(double trace_s) {
    const double late = std::chrono::duration<double>(Clock::now() - due(trace_s)).count();
    if (late > kMostLateS) {
      double slip = slip_s_;
      const double wanted = slip + late - kMostLateS;
      while (slip < wanted && !slip_s_.compare_exchange_weak(slip, wanted)) {
      }
    }
    return late;
  }
  double slip_s() const { return slip_s_; }
  /// How much of the trace is done, from 0 to 1.
  double done(double length_s) const {
    const double passed_s = std::chrono::duration<double>(Clock::now() - start_).count() - slip_s_;
    return std::min(1.0, passed_s * speed_ / length_s);
  }

 private:
  static constexpr double kMostLateS = 0.25;
  Clock::time_point start_;
  double unix_s_, speed_;
  std::atomic<double> slip_s_ = 0;
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

  /// `clients`: one for each edge node.
  void warm_up(const std::vector<FleetClient *> &clients) {
    for (size_t node = 0; node < clients.size(); node++) application_.warm_up(*clients[node], node, wall_unix_s());
  }

  void run(ReplayClock &clock, Totals &totals) {
    std::stable_sort(steps_.begin(), steps_.end(),
                     [](const Work &a, const Work &b) { return a.step->at_s < b.step->at_s; });
    for (const Work &work : steps_) {
      wait_until(clock, work.step->at_s);
      if (totals.failed) return;
      lag_ms_.push_back(clock.late_s(work.step->at_s) * 1000);
      application_.run(*work.client, *work.step, clock.unix_s(work.step->at_s), work.writes);
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
  static void wait_until(const ReplayClock &clock, double trace_s) {
    for (;;) {
      check_stop();
      const auto left = clock.due(trace_s) - Clock::now();
      if (left <= Clock::duration::zero()) return;
      std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(200)));
    }
  }

  Application application_;
  ReplaySettings settings_;
  std::vector<Work> steps_;
  std::vector<double> lag_ms_;
};

/// Sessions that were used before, and servers that have copied before: what follows is to show the fabric, not how servers
/// read their catalogs for the first time. Every runner has a client of its own at every node; a copy of each comes there.
void warm_up(const Fabric &fabric, const std::string &suffix, std::vector<std::unique_ptr<Runner>> &runners) {
  Plan names;
  for (size_t i = 0; i < runners.size() * fabric.edges(); i++) names.clients.push_back({"warm_up." + std::to_string(i), {}, 0});
  Fleet fleet(names, suffix);
  {
    Connection core(fabric.conninfo_admin(fabric.core_index()));
    load_fleet(core, fleet);
  }
  std::vector<std::future<void>> warming;
  for (size_t i = 0; i < runners.size(); i++) {
    std::vector<FleetClient *> own;
    for (size_t node = 0; node < fabric.edges(); node++) own.push_back(fleet.clients[i * fabric.edges() + node].get());
    warming.push_back(std::async(std::launch::async, [&runner = *runners[i], own] { runner.warm_up(own); }));
  }
  for (auto &each : warming) each.get();
}

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

  warm_up(fabric, fleet.suffix, runners);
  Totals totals;
  std::atomic<size_t> running = runners.size();
  std::vector<std::exception_ptr> failures(runners.size());
  ReplayClock clock(settings.speed);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < runners.size(); i++)
    threads.emplace_back([&, i] {
      try {
        runners[i]->run(clock, totals);
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
      progress.show(clock.done(plan.length_s), facts(totals, observer));
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
  outcome.slip_s = clock.slip_s();
  for (const auto &runner : runners) outcome.add(runner->take_outcome());
  return outcome;
}

}  // namespace vectorshard::demo
