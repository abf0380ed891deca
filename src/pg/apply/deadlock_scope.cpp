// Looking for deadlocks by a timer of our own: see deadlock_scope.hpp.
#include "pg/apply/deadlock_scope.hpp"

#include <csignal>
#include <ctime>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "storage/proc.h"
}

namespace vectorshard::apply {

namespace {

constexpr int kTimeoutMs = 50;
constexpr long kAgainMs = 250;

/// As the handler of PostgreSQL's own deadlock timeout: whoever waits for a lock wakes and looks; nobody else minds.
extern "C" void vectorshard_look_for_deadlock(int) {
  int before = errno;
  CheckDeadLockAlert();
  errno = before;
}

/// Made once in a process. Null if the system gives none: then deadlocks are looked for by the time of day alone.
timer_t *timer() {
  static timer_t made;
  static bool there = [] {
    pqsignal(SIGRTMIN, vectorshard_look_for_deadlock);
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    return timer_create(CLOCK_MONOTONIC, &event, &made) == 0;
  }();
  return there ? &made : nullptr;
}

void ring_every_ms(long ms) {
  itimerspec when{};
  when.it_value.tv_nsec = when.it_interval.tv_nsec = ms * 1000000;
  if (timer_t *t = timer()) (void)timer_settime(*t, 0, &when, nullptr);
}

}  // namespace

DeadlockScope::DeadlockScope() : old_(DeadlockTimeout) {
  DeadlockTimeout = std::min(DeadlockTimeout, kTimeoutMs);
  ring_every_ms(kAgainMs);
}

DeadlockScope::~DeadlockScope() {
  ring_every_ms(0);
  DeadlockTimeout = old_;
}

}  // namespace vectorshard::apply
