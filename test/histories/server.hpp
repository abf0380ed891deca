// One PostgreSQL server in a network namespace of its own, with the faults a process can have: killed, stopped, frozen, with a
// clock that is off. It never outlives this program: the kernel ends it when its parent thread is gone.
#pragma once
#include <sys/types.h>

#include <filesystem>
#include <string>

#include "net.hpp"

namespace vectorshard::histories {

class Server {
 public:
  Server(std::filesystem::path work, std::filesystem::path bin, int index, const Net &net);
  ~Server();
  Server(Server &&other) noexcept;
  Server(const Server &) = delete;

  /// initdb, or a copy of `source`, plus the settings; the server is not started.
  void make(const std::filesystem::path &source);
  /// Starts it. May be called while children of a killed server still end.
  void start();
  /// Whether a clock that set_clock() can set is wanted at the next start.
  void fake_clock(bool wanted) { fake_clock_ = wanted; }
  bool fakes_clock() const { return fake_clock_; }
  bool running() const { return pid_ > 0; }
  /// SIGKILL to the postmaster alone.
  void kill9();
  void stop_fast();
  /// Stops or continues the postmaster and all its children.
  void freeze();
  void thaw();
  /// Seconds that the clock is ahead of the true one.
  void set_clock(double ahead_s);
  /// SIGKILL or SIGTERM to one process of this server.
  void signal(pid_t pid, int number) const;

  int index() const { return index_; }
  std::string name() const { return "n" + std::to_string(index_ + 1); }
  std::string conninfo(const std::string &application = "history") const;
  std::filesystem::path log() const { return work_ / (name() + ".log"); }
  std::filesystem::path data() const { return work_ / name() / "data"; }

 private:
  void spawn();
  bool answers() const;
  std::filesystem::path work_, bin_;
  int index_;
  const Net *net_;
  pid_t pid_ = -1;
  bool fake_clock_ = false;
  pid_t guardian_ = -1;  // while frozen
};

/// Makes a data directory with PostGIS but without vectorshard, as a template; returns its path.
std::filesystem::path make_template(const std::filesystem::path &work, const std::filesystem::path &bin, const Net &net);

}  // namespace vectorshard::histories
