// Namespaces by unshare and setns, links by ip(8), rules by nft(8): see net.hpp.
#include "net.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace vectorshard::histories {
namespace {

bool g_user_namespace = false;
uid_t g_uid = 0;
gid_t g_gid = 0;

bool put(const char *path, const std::string &text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool ok = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  close(fd);
  return ok;
}

/// A new user namespace in which the caller, `outside` before, is `inside`.
bool new_user_namespace(uid_t inside, uid_t outside, gid_t inside_group, gid_t outside_group) {
  return unshare(CLONE_NEWUSER) == 0 && put("/proc/self/setgroups", "deny") &&
         put("/proc/self/uid_map", std::to_string(inside) + " " + std::to_string(outside) + " 1") &&
         put("/proc/self/gid_map", std::to_string(inside_group) + " " + std::to_string(outside_group) + " 1");
}

bool may_make_namespaces() {
  const pid_t child = fork();
  if (child == 0) _exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
  int status = 1;
  waitpid(child, &status, 0);
  return status == 0;
}

/// Descriptor of a new network namespace with its loopback up.
int make_space() {
  int ready[2];
  if (pipe2(ready, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const char ok = unshare(CLONE_NEWNET) == 0 ? 'y' : 'n';
    if (write(ready[1], &ok, 1) != 1) _exit(1);
    for (;;) pause();
  }
  char ok = 'n';
  if (read(ready[0], &ok, 1) != 1) ok = 'n';
  close(ready[0]);
  close(ready[1]);
  const int fd = open(("/proc/" + std::to_string(child) + "/ns/net").c_str(), O_RDONLY | O_CLOEXEC);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  if (ok != 'y' || fd < 0) throw std::runtime_error("cannot make a network namespace");
  run_program(fd, {"ip", "link", "set", "lo", "up"});
  return fd;
}

std::string path_of(int fd) { return "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd); }

}  // namespace

bool enter_sandbox(std::string *why) {
  if (geteuid() == 0) {
    const passwd *user = getpwnam("postgres");
    if (!user) {
      *why = "running as root, and there is no user postgres to run servers as";
      return false;
    }
    g_uid = user->pw_uid;
    g_gid = user->pw_gid;
    if (may_make_namespaces()) return true;
    *why = "root may not make network namespaces here";
    return false;
  }
  g_uid = geteuid();
  g_gid = getegid();
  if (!new_user_namespace(0, g_uid, 0, g_gid)) {
    *why = std::string("not root, and no user namespace: ") + std::strerror(errno);
    return false;
  }
  g_user_namespace = true;
  if (may_make_namespaces()) return true;
  *why = "no network namespaces in a user namespace";
  return false;
}

bool become_server_user() {
  // Inside another user namespace the server is the user who started the test, under his own number.
  if (g_user_namespace) return new_user_namespace(g_uid, 0, g_gid, 0);
  return setgroups(0, nullptr) == 0 && setresgid(g_gid, g_gid, g_gid) == 0 && setresuid(g_uid, g_uid, g_uid) == 0;
}

uid_t server_uid() { return g_user_namespace ? 0 : g_uid; }
gid_t server_gid() { return g_user_namespace ? 0 : g_gid; }

void run_program(int netns, const std::vector<std::string> &words, const std::string &input) {
  std::vector<char *> argv;
  for (const auto &w : words) argv.push_back(const_cast<char *>(w.c_str()));
  argv.push_back(nullptr);
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) throw std::runtime_error("pipe failed");
  const pid_t child = fork();
  if (child == 0) {
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(out[1], 2);
    if (netns >= 0 && setns(netns, CLONE_NEWNET) != 0) _exit(126);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  const bool fed = write(in[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
  close(in[1]);
  std::string text;
  char buffer[512];
  for (ssize_t n; (n = read(out[0], buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  close(out[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0 || !fed) {
    std::string all;
    for (const auto &w : words) all += w + " ";
    throw std::runtime_error(all + "failed: " + text);
  }
}

Net::Net(int nodes) : nodes_(nodes), in_(static_cast<size_t>(nodes), std::vector<Cut>(static_cast<size_t>(nodes), Cut::none)) {
  for (int i = 0; i <= nodes; i++) spaces_.push_back(make_space());
  const int hub = spaces_.back();
  run_program(hub, {"ip", "link", "add", "br0", "type", "bridge"});
  run_program(hub, {"ip", "link", "set", "br0", "up"});
  for (int i = 0; i < nodes; i++) {
    const std::string port = "port" + std::to_string(i + 1);
    run_program(hub, {"ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", path_of(netns(i))});
    run_program(hub, {"ip", "link", "set", port, "master", "br0", "up"});
    run_program(netns(i), {"ip", "addr", "add", address(i) + "/24", "dev", "eth0"});
    run_program(netns(i), {"ip", "link", "set", "eth0", "up"});
    run_program(netns(i), {"nft", "-f", "-"}, "table inet cut { chain in { type filter hook input priority 0; policy accept; }; }\n");
  }
}

Net::~Net() {
  for (const int fd : spaces_) close(fd);
}

void Net::apply(int node) {
  std::string rules = "flush chain inet cut in\n";
  for (int from = 0; from < nodes_; from++) {
    const Cut how = in_[static_cast<size_t>(node)][static_cast<size_t>(from)];
    if (how == Cut::none) continue;
    const std::string match = "add rule inet cut in ip saddr " + address(from);
    rules += match + (how == Cut::reset ? " meta l4proto tcp reject with tcp reset\n" : " drop\n");
  }
  run_program(netns(node), {"nft", "-f", "-"}, rules);
}

void Net::set(int a, int b, Cut how) {
  in_[static_cast<size_t>(b)][static_cast<size_t>(a)] = how;
  in_[static_cast<size_t>(a)][static_cast<size_t>(b)] = how == Cut::drop_one_way ? Cut::none : how;
  apply(a);
  apply(b);
}

void Net::heal_all() {
  for (auto &row : in_) row.assign(row.size(), Cut::none);
  for (int i = 0; i < nodes_; i++) apply(i);
}

}  // namespace vectorshard::histories
