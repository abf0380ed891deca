// Output goes to stdout, flushed line by line, so that it stays in order with the last line of the program.
#include "progress.hpp"

#include <unistd.h>

#include <cstdio>

namespace vectorshard::demo {
namespace {

const auto g_start = std::chrono::steady_clock::now();
constexpr std::chrono::seconds kLineEvery{10};
constexpr int kWidth = 28;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

Progress::Progress(std::string title)
    : title_(std::move(title)), terminal_(isatty(STDOUT_FILENO)), last_line_(std::chrono::steady_clock::now()) {}

void Progress::show(double share, const std::string &facts) {
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ && now - last_line_ < kLineEvery) return;
  last_line_ = now;
  const int full = static_cast<int>(share * kWidth);
  const std::string bar = std::string(static_cast<size_t>(full), '#') + std::string(static_cast<size_t>(kWidth - full), '.');
  std::printf("%s%5.0f s  %s [%s] %3.0f %%  %s%s", terminal_ ? "\r\033[K" : "", seconds_since(g_start), title_.c_str(),
              bar.c_str(), share * 100, facts.c_str(), terminal_ ? "" : "\n");
  std::fflush(stdout);
  open_ = terminal_;
}

void Progress::finish() {
  if (open_) std::printf("\n");
  std::fflush(stdout);
  open_ = false;
}

void say(const std::string &text) {
  std::printf("%5.0f s  %s\n", seconds_since(g_start), text.c_str());
  std::fflush(stdout);
}

}  // namespace vectorshard::demo
