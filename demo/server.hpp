// PostgreSQL servers as child processes of this program, each in its own process group and data directory. Whatever
// happens to this program, they go: destructors stop them, and the kernel signals them if it is killed.
#pragma once
#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

namespace vectorshard::demo {

/// Where the server programs and the working files are.
struct Installation {
  std::filesystem::path bin;
  std::filesystem::path work;
  std::string password;  // of the superuser, random
};

class Server {
 public:
  Server(std::filesystem::path data, int port) : data_(std::move(data)), port_(port) {}
  ~Server() { stop(); }
  Server(Server &&other) noexcept;
  Server(const Server &) = delete;
  Server &operator=(const Server &) = delete;

  /// Starts it, with more command-line arguments if given, and returns at once; wait_ready() waits until it answers.
  void start(const Installation &installation, const std::vector<std::string> &arguments = {});
  void wait_ready(const Installation &installation);
  /// Asks for a fast shutdown without waiting.
  void ask_to_stop();
  /// Fast shutdown; after a while immediate, then by force. Returns when the process is gone.
  void stop();

  int port() const { return port_; }
  const std::filesystem::path &data() const { return data_; }
  std::string log() const { return data_.string() + ".log"; }
  /// Connection string of `user`, whose password is that of the installation.
  std::string conninfo(const Installation &installation, const std::string &user,
                       const std::string &database = "demo") const;

 private:
  bool gone_within(double seconds);
  std::filesystem::path data_;
  int port_;
  pid_t pid_ = -1;
};

/// Kills all servers that run; for the signal thread.
void kill_all_servers();

/// `count` TCP ports of 127.0.0.1 that nobody uses now, outside the range from which outgoing connections are made.
std::vector<int> free_ports(size_t count);

/// Runs a program and waits; throws with the end of its output if it fails.
void run_program(const std::vector<std::string> &words, const std::filesystem::path &log);

}  // namespace vectorshard::demo
