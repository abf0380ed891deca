// The signals are blocked in every thread and taken by sigtimedwait in one.
#include "stop.hpp"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

namespace vectorshard::demo {
namespace {

std::atomic<bool> g_stop = false;
constexpr std::chrono::seconds kPatience{10};

void wait_for_signals(sigset_t signals, const std::function<void()> &force) {
  int got = 0;
  sigwait(&signals, &got);
  g_stop = true;
  const timespec patience = {kPatience.count(), 0};
  sigtimedwait(&signals, nullptr, &patience);
  force();
}

}  // namespace

void catch_signals(std::function<void()> force) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int s : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&signals, s);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  std::thread([signals, force = std::move(force)] { wait_for_signals(signals, force); }).detach();
}

bool stop_requested() { return g_stop; }

void check_stop() {
  if (g_stop) throw Stopped();
}

void sleep_s(double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  for (;;) {
    check_stop();
    const auto left = end - Clock::now();
    if (left <= Clock::duration::zero()) return;
    std::this_thread::sleep_for(std::min<Clock::duration>(left, std::chrono::milliseconds(100)));
  }
}

}  // namespace vectorshard::demo
