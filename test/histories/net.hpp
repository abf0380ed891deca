// The network of the test: one network namespace a server, joined by a bridge in a namespace of its own; links between servers are
// cut and healed by nftables rules inside these namespaces. It never touches the network it was started in.
#pragma once
#include <sys/types.h>

#include <string>
#include <vector>

namespace vectorshard::histories {

/// How a link is cut: packets vanish both ways or one way, or connections are reset.
enum class Cut { none, drop, drop_one_way, reset };

/// Rights for namespaces: true if this process may make them now (root, or inside a user namespace of its own, which it
/// enters here). Call before any thread starts. `why` tells what is missing.
bool enter_sandbox(std::string *why);

/// Runs a program and waits, inside namespace `netns` (a descriptor, or -1), with `input` on its standard input; throws with
/// the end of its output if it fails.
void run_program(int netns, const std::vector<std::string> &words, const std::string &input = {});

/// Called in a child between fork and exec: the user of the servers, who is never root. Returns false on failure.
bool become_server_user();
/// Numeric user and group that own the servers' files as this process sees them.
uid_t server_uid();
gid_t server_gid();

class Net {
 public:
  explicit Net(int nodes);
  ~Net();
  Net(const Net &) = delete;
  Net &operator=(const Net &) = delete;

  int netns(int node) const { return spaces_[static_cast<size_t>(node)]; }
  std::string address(int node) const { return "10.77.0." + std::to_string(node + 1); }
  /// Cuts or heals the link between two nodes. One way: what `a` sends to `b` vanishes.
  void set(int a, int b, Cut how);
  void heal_all();

 private:
  void apply(int node);
  int nodes_;
  std::vector<int> spaces_;           // descriptors of the nodes' namespaces, then the bridge's
  std::vector<std::vector<Cut>> in_;  // what node [a] does with packets from [b]
};

}  // namespace vectorshard::histories
