// fork and exec of postgres itself, not of pg_ctl, so that the child's life can be tied to ours.
#include "server.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "stop.hpp"

namespace vectorshard::demo {
namespace {

constexpr double kReadyS = 40;
std::array<std::atomic<pid_t>, 64> g_running{};

void remember(pid_t pid) {
  for (auto &slot : g_running) {
    pid_t empty = 0;
    if (slot.compare_exchange_strong(empty, pid)) return;
  }
}

void forget(pid_t pid) {
  for (auto &slot : g_running) {
    pid_t expected = pid;
    slot.compare_exchange_strong(expected, 0);
  }
}

/// In the child: own process group, output to `log`, signals as a fresh program expects them.
[[noreturn]] void become(const std::vector<std::string> &words, const std::filesystem::path &log) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  for (int fd = 3; fd < 256; fd++) close(fd);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  std::vector<char *> argv;
  for (const auto &w : words) argv.push_back(const_cast<char *>(w.c_str()));
  argv.push_back(nullptr);
  execv(argv[0], argv.data());
  _exit(127);
}

std::string tail(const std::filesystem::path &path) {
  std::ifstream in(path);
  std::stringstream all;
  all << in.rdbuf();
  const std::string text = all.str();
  return text.size() > 1500 ? text.substr(text.size() - 1500) : text;
}

}  // namespace

Server::Server(Server &&other) noexcept : data_(std::move(other.data_)), port_(other.port_), pid_(other.pid_) {
  other.pid_ = -1;
}

void Server::start(const Installation &installation, const std::vector<std::string> &arguments) {
  std::vector<std::string> words = {(installation.bin / "postgres").string(), "-D", data_.string(), "-p",
                                    std::to_string(port_)};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error("cannot start another process");
  if (pid == 0) become(words, log());
  pid_ = pid;
  remember(pid);
}

void Server::wait_ready(const Installation &installation) {
  const std::string info = conninfo(installation, "postgres", "postgres") + " connect_timeout=2";
  for (double waited_s = 0; waited_s < kReadyS; waited_s += 0.1) {
    if (PQping(info.c_str()) == PQPING_OK) return;
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      forget(pid_);
      pid_ = -1;
      break;
    }
    sleep_s(0.1);
  }
  throw std::runtime_error("a server does not start; the end of its log:\n" + tail(log()));
}

void Server::ask_to_stop() {
  if (pid_ > 0) kill(pid_, SIGINT);
}

bool Server::gone_within(double seconds) {
  for (double waited_s = 0; waited_s < seconds; waited_s += 0.05) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return false;
}

void Server::stop() {
  if (pid_ <= 0) return;
  ask_to_stop();
  bool gone = gone_within(stop_requested() ? 3 : 8);
  if (!gone) {
    kill(pid_, SIGQUIT);
    gone = gone_within(6);
  }
  if (!gone) {
    kill(-pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  forget(pid_);
  pid_ = -1;
}

std::string Server::conninfo(const Installation &installation, const std::string &user,
                             const std::string &database) const {
  return "host=127.0.0.1 port=" + std::to_string(port_) + " dbname=" + database + " user=" + user +
         " password=" + installation.password + " application_name=demo";
}

void kill_all_servers() {
  for (auto &slot : g_running)
    if (const pid_t pid = slot; pid > 0) kill(pid, SIGQUIT);
}

std::vector<int> free_ports(size_t count) {
  constexpr int kFirst = 20000, kLast = 32000;
  static int next = kFirst + getpid() % (kLast - kFirst);
  std::vector<int> ports;
  for (int tries = 0; ports.size() < count; tries++) {
    if (tries > kLast - kFirst) throw std::runtime_error("cannot find a free port");
    const int port = next;
    next = next + 1 < kLast ? next + 1 : kFirst;
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    const int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s >= 0 && bind(s, reinterpret_cast<sockaddr *>(&address), sizeof address) == 0) ports.push_back(port);
    close(s);
  }
  return ports;
}

void run_program(const std::vector<std::string> &words, const std::filesystem::path &log) {
  const pid_t pid = fork();
  if (pid == 0) become(words, log);
  int status = 0;
  waitpid(pid, &status, 0);
  check_stop();
  if (status != 0) throw std::runtime_error(words[0] + " failed:\n" + tail(log));
}

}  // namespace vectorshard::demo
