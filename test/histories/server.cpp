// fork and exec of postgres itself, so that the child's life is tied to ours: see server.hpp.
#include "server.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "../../demo/pg.hpp"

namespace vectorshard::histories {
namespace {

namespace fs = std::filesystem;
constexpr const char *kFakeTime = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

void nap_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

void own(const fs::path &path) {
  if (chown(path.c_str(), server_uid(), server_gid()) != 0) throw std::runtime_error("cannot chown " + path.string());
}

void append_to(const fs::path &file, const std::string &text) {
  std::ofstream out(file, std::ios::app);
  out << text;
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
  own(file);
}

/// Further settings for all servers, a line each.
std::string more_settings() {
  const char *conf = std::getenv("HISTORIES_CONF");
  return conf ? std::string(conf) + "\n" : "";
}

std::string settings(const fs::path &sockets, const std::string &address) {
  return "shared_preload_libraries = 'vectorshard'\nwal_level = logical\nlisten_addresses = '" + address +
         "'\nport = 5432\nunix_socket_directories = '" + sockets.string() +
         "'\nmax_worker_processes = 32\nmax_connections = 80\nshared_buffers = 32MB\nfsync = off\njit = off\n"
         "autovacuum_naptime = 10s\nlog_line_prefix = '%m [%p] %b %a '\nstatement_timeout = 12s\n"
         "vectorshard.link_timeout_ms = 2000\nvectorshard.keep_s = 100000\nvectorshard.insert_wait_ms = 3000\n" + more_settings();
}

/// Runs in the child: the server's user, its namespace, its output to `log`.
[[noreturn]] void become(int netns, const char *log, char *const *argv, char *const *env) {
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
  const int in = open("/dev/null", O_RDONLY);
  dup2(in, 0);
  dup2(out, 1);
  dup2(out, 2);
  if (netns >= 0 && setns(netns, CLONE_NEWNET) != 0) _exit(125);
  if (!become_server_user()) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);  // after the user changed, which clears it
  setpgid(0, 0);
  for (int fd = 3; fd < 1024; fd++) close(fd);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(argv[0], argv, env);
  _exit(127);
}

pid_t launch(int netns, const fs::path &log, const std::vector<std::string> &words, const std::vector<std::string> &extra_env) {
  std::vector<char *> argv, env;
  for (const auto &w : words) argv.push_back(const_cast<char *>(w.c_str()));
  argv.push_back(nullptr);
  std::vector<std::string> all = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/tmp"};
  all.insert(all.end(), extra_env.begin(), extra_env.end());
  for (const auto &e : all) env.push_back(const_cast<char *>(e.c_str()));
  env.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) become(netns, log.c_str(), argv.data(), env.data());
  if (child < 0) throw std::runtime_error("cannot start another process");
  return child;
}

/// Processes whose parent is `parent`.
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  for (const auto &entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "stat");
    std::string text;
    std::getline(in, text);
    const size_t close = text.rfind(')');
    if (close == std::string::npos) continue;
    if (std::atoi(text.c_str() + close + 4) == parent) out.push_back(std::atoi(name.c_str()));
  }
  return out;
}

/// A process that kills others if we are gone: a frozen one does not hear the signal that tells it so.
pid_t guard(const std::vector<pid_t> &processes) {
  const pid_t parent = getpid(), child = fork();
  if (child != 0) return child;
  while (getppid() == parent) usleep(100000);
  for (const pid_t process : processes) kill(process, SIGKILL);
  _exit(0);
}

std::string tail(const fs::path &path) {
  std::ifstream in(path);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  return text.size() > 1500 ? text.substr(text.size() - 1500) : text;
}

}  // namespace

Server::Server(fs::path work, fs::path bin, int index, const Net &net)
    : work_(std::move(work)), bin_(std::move(bin)), index_(index), net_(&net) {}

Server::Server(Server &&o) noexcept
    : work_(std::move(o.work_)), bin_(std::move(o.bin_)), index_(o.index_), net_(o.net_), pid_(o.pid_), fake_clock_(o.fake_clock_), guardian_(o.guardian_) {
  o.pid_ = -1;
}

Server::~Server() {
  if (pid_ <= 0) return;
  thaw();
  kill(pid_, SIGQUIT);
  for (int i = 0; i < 100; i++) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) return;
    nap_ms(50);
  }
  for (const pid_t child : children_of(pid_)) kill(child, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Server::make(const fs::path &source) {
  fs::create_directories(work_ / name());
  own(work_ / name());
  run_program(-1, {"cp", "-a", source.string(), data().string()});
  append_to(data() / "postgresql.conf", settings(work_ / name(), net_->address(index_)));
  append_to(data() / "pg_hba.conf", "host all all 10.77.0.0/24 trust\n");
  append_to(work_ / (name() + ".clock"), "+0\n");
}

void Server::spawn() {
  std::vector<std::string> env;
  if (fake_clock_)
    env = {std::string("LD_PRELOAD=") + kFakeTime, "FAKETIME_TIMESTAMP_FILE=" + (work_ / (name() + ".clock")).string(),
           "DONT_FAKE_MONOTONIC=1", "FAKETIME_CACHE_DURATION=1"};
  pid_ = launch(net_->netns(index_), log(), {(bin_ / "postgres").string(), "-D", data().string()}, env);
}

bool Server::answers() const { return PQping((conninfo() + " connect_timeout=2").c_str()) == PQPING_OK; }

void Server::start() {
  for (int attempt = 0; attempt < 100; attempt++) {
    spawn();
    for (int i = 0; i < 600; i++) {
      if (answers()) return;
      if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = -1;
        break;
      }
      nap_ms(50);
    }
    if (pid_ > 0) break;
    nap_ms(200);  // children of the one that was killed still hold the shared memory
  }
  throw std::runtime_error(name() + " does not start; the end of its log:\n" + tail(log()));
}

void Server::kill9() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void Server::stop_fast() {
  if (pid_ <= 0) return;
  kill(pid_, SIGINT);
  for (int i = 0; i < 300; i++) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = -1;
      return;
    }
    // PostgreSQL 15 goes on taking connections to refuse them, and on a slow machine it may never be without one.
    if (i == 120) kill(pid_, SIGQUIT);
    nap_ms(100);
  }
  throw std::runtime_error(name() + " does not stop; the end of its log:\n" + tail(log()));
}

void Server::freeze() {
  kill(pid_, SIGSTOP);
  std::vector<pid_t> all = children_of(pid_);
  all.push_back(pid_);
  guardian_ = guard(all);
  for (const pid_t process : all) kill(process, SIGSTOP);
}

void Server::thaw() {
  if (pid_ <= 0) return;
  for (const pid_t child : children_of(pid_)) kill(child, SIGCONT);
  kill(pid_, SIGCONT);
  if (guardian_ < 0) return;
  kill(guardian_, SIGKILL);
  waitpid(guardian_, nullptr, 0);
  guardian_ = -1;
}

void Server::set_clock(double ahead_s) {
  const fs::path file = work_ / (name() + ".clock"), fresh = work_ / (name() + ".clock.new");
  char text[40];
  std::snprintf(text, sizeof text, "%+.3f\n", ahead_s);
  std::ofstream(fresh) << text;
  own(fresh);
  fs::rename(fresh, file);
}

void Server::signal(pid_t pid, int number) const {
  for (const pid_t child : children_of(pid_))
    if (child == pid) kill(pid, number);
}

std::string Server::conninfo(const std::string &application) const {
  return "host=" + (work_ / name()).string() + " port=5432 dbname=app user=postgres connect_timeout=4 application_name=" + application;
}

fs::path make_template(const fs::path &work, const fs::path &bin, const Net &net) {
  const fs::path data = work / "template" / "data", log = work / "template.log";
  fs::create_directories(data.parent_path());
  own(data.parent_path());
  int status = 0;
  waitpid(launch(-1, log, {(bin / "initdb").string(), "-D", data.string(), "-U", "postgres", "-A", "trust", "--no-sync",
                           "--locale=C.UTF-8", "--encoding=UTF8"}, {}), &status, 0);
  if (status != 0) throw std::runtime_error("initdb failed:\n" + tail(log));
  append_to(data / "postgresql.conf", "fsync = off\n");
  const pid_t pid = launch(net.netns(0), log, {(bin / "postgres").string(), "-D", data.string(), "-k", data.parent_path().string(), "-h", ""}, {});
  const std::string info = "host=" + data.parent_path().string() + " port=5432 user=postgres dbname=";
  for (int i = 0; i < 400 && PQping((info + "postgres").c_str()) != PQPING_OK; i++) nap_ms(50);
  demo::Connection(info + "postgres").run("CREATE DATABASE app");
  demo::Connection(info + "app").run("CREATE EXTENSION postgis");
  kill(pid, SIGINT);
  waitpid(pid, nullptr, 0);
  return data;
}

}  // namespace vectorshard::histories
