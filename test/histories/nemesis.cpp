// Faults and their ends: see nemesis.hpp.
#include "nemesis.hpp"

#include <csignal>
#include <map>
#include <thread>

#include "../../demo/pg.hpp"

namespace vectorshard::histories {
namespace {

constexpr auto kTick = std::chrono::milliseconds(20);

}  // namespace

std::atomic<bool> g_interrupted = false;

void Nemesis::say(const std::string &text) {
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_).count();
  diary_.push_back(std::to_string(ms) + " ms " + text);
}

/// To one process of the server, found by its description in pg_stat_activity.
bool Nemesis::signal_worker(const Fault &f, const std::string &condition, int number) {
  try {
    demo::Connection c(servers_[static_cast<size_t>(f.a)].conninfo("nemesis"));
    const demo::Rows pids = c.run("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND " + condition + " LIMIT 1");
    if (pids.count() == 0) return false;
    servers_[static_cast<size_t>(f.a)].signal(static_cast<pid_t>(pids.number(0, 0)), number);
    return true;
  } catch (const demo::PgError &) {
    return false;
  }
}

bool Nemesis::begin(const Fault &f) {
  Server &a = servers_[static_cast<size_t>(f.a)];
  static constexpr const char *kWorkers[] = {"backend_type = 'vectorshard shipper'", "backend_type = 'vectorshard holder'",
                                             "backend_type = 'vectorshard navigator'"};
  const std::string worker = kWorkers[(f.for_ms + f.b) % 3];
  const bool process = f.kind != FaultKind::isolate && f.kind != FaultKind::cut && f.kind != FaultKind::cut_one_way && f.kind != FaultKind::reset;
  if (process && (!a.running() || frozen_[static_cast<size_t>(f.a)])) return false;
  switch (f.kind) {
    case FaultKind::isolate:
      for (int other = 0; other < kNodes; other++)
        if (other != f.a) net_.set(f.a, other, Cut::drop);
      break;
    case FaultKind::cut: net_.set(f.a, f.b, Cut::drop); break;
    case FaultKind::cut_one_way: net_.set(f.a, f.b, Cut::drop_one_way); break;
    case FaultKind::reset: net_.set(f.a, f.b, Cut::reset); break;
    case FaultKind::kill_worker: return signal_worker(f, worker, SIGKILL);
    case FaultKind::end_worker: return signal_worker(f, worker, SIGTERM);
    case FaultKind::kill_apply: return signal_worker(f, "application_name LIKE 'vectorshard shipper%' AND backend_type = 'client backend'", SIGKILL);
    case FaultKind::kill_server: a.kill9(); break;
    case FaultKind::restart:
      a.stop_fast();
      a.start();
      break;
    case FaultKind::freeze:
      a.freeze();
      frozen_[static_cast<size_t>(f.a)] = true;
      break;
    case FaultKind::clock: a.set_clock(f.amount); break;
  }
  return true;
}

void Nemesis::end(const Fault &f) {
  Server &a = servers_[static_cast<size_t>(f.a)];
  switch (f.kind) {
    case FaultKind::isolate:
      for (int other = 0; other < kNodes; other++)
        if (other != f.a) net_.set(f.a, other, Cut::none);
      break;
    case FaultKind::cut:
    case FaultKind::cut_one_way:
    case FaultKind::reset: net_.set(f.a, f.b, Cut::none); break;
    case FaultKind::kill_server:
      if (!a.running()) a.start();
      break;
    case FaultKind::freeze:
      a.thaw();
      frozen_[static_cast<size_t>(f.a)] = false;
      break;
    case FaultKind::clock: a.set_clock(0); break;
    default: break;
  }
}

void Nemesis::run(std::chrono::steady_clock::time_point start, const std::function<bool()> &done) {
  start_ = quiet_since_ = start;
  std::multimap<int, Fault> ends;
  size_t next = 0;
  while (next < plan_.faults.size() || !ends.empty() || !done()) {
    const auto ms = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start).count());
    while (!ends.empty() && ends.begin()->first <= ms) {
      const Fault f = ends.begin()->second;
      ends.erase(ends.begin());
      end(f);
      quiet_since_ = std::chrono::steady_clock::now();
      say(std::string("end of ") + name_of(f.kind) + " n" + std::to_string(f.a + 1));
    }
    if (next < plan_.faults.size() && plan_.faults[next].at_ms <= ms) {
      const Fault &f = plan_.faults[next++];
      const std::string what = std::string(name_of(f.kind)) + " n" + std::to_string(f.a + 1) + " n" + std::to_string(f.b + 1) + " " +
                               std::to_string(f.amount);
      say(what);
      if (begin(f)) {
        done_++;
        ends.emplace(ms + f.for_ms, f);
      } else {
        say("not done: " + what);
      }
    }
    std::this_thread::sleep_for(kTick);
    if (g_interrupted) throw std::runtime_error("interrupted");
  }
}

void Nemesis::heal() {
  net_.heal_all();
  for (Server &s : servers_) {
    if (frozen_[static_cast<size_t>(s.index())]) s.thaw();
    s.set_clock(0);
    if (!s.running()) s.start();
  }
}

}  // namespace vectorshard::histories
