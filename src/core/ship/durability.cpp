// Waiting commits: see durability.hpp. A verdict of failure is given as soon as nothing can change it; one of success
// only when all rows are routed.
#include "core/ship/durability.hpp"

#include <algorithm>
#include <utility>

namespace vectorshard::ship {

void DurabilityTracker::watch(Lsn transaction, uint32_t key, Demand demand) {
  transactions_[transaction] = {key, demand, false, {}};
}

void DurabilityTracker::routed(Lsn transaction, const ClientName &client, const std::vector<Target> &targets) {
  auto it = transactions_.find(transaction);
  if (it == transactions_.end()) return;
  Client &c = it->second.clients[client];
  for (const Target &t : targets) {
    AtPeer &peer = c.peers[t.peer];
    peer.open++;
    peer.as_home = peer.as_home || t.as_home;
    peer.lost = peer.lost || t.peer == kNoNode;
  }
}

void DurabilityTracker::complete(Lsn transaction) {
  auto it = transactions_.find(transaction);
  if (it == transactions_.end()) return;
  it->second.complete = true;
  judge(transaction);
}

void DurabilityTracker::flushed(Lsn transaction, const ClientName &client, NodeId peer, uint32_t rows) {
  auto it = transactions_.find(transaction);
  if (it == transactions_.end()) return;
  AtPeer &at = it->second.clients[client].peers[peer];
  at.open -= std::min<uint64_t>(at.open, rows);
  judge(transaction);
}

void DurabilityTracker::lost(Lsn transaction, const ClientName &client, NodeId peer) {
  auto it = transactions_.find(transaction);
  if (it == transactions_.end()) return;
  it->second.clients[client].peers[peer].lost = true;
  judge(transaction);
}

DurabilityTracker::Standing DurabilityTracker::standing(const Transaction &t, const ClientName &name, const Client &client,
                                                        NodeId *peer) {
  uint32_t have = 0, may_have = 0;
  NodeId lost = kNoNode;
  bool home_open = false, home_lost = false;
  for (auto &[node, at] : client.peers) {
    have += at.has_all();
    may_have += !at.lost;
    if (at.lost) lost = node;
    if (!at.as_home) continue;
    home_open = home_open || !at.has_all();
    if (at.lost && !home_lost) {
      home_lost = true;
      *peer = node;
    }
  }
  if (t.demand.level == DurabilityLevel::home && !name.empty()) {
    if (home_lost) return Standing::failed;
    return home_open ? Standing::open : Standing::reached;
  }
  // A row without a client has no home: it is safe when one other node has it, if there is any.
  bool alone = name.empty() && client.peers.empty() && t.demand.level == DurabilityLevel::home;
  uint32_t wanted = alone ? 0 : t.demand.level == DurabilityLevel::home ? 1 : t.demand.holders;
  if (have >= wanted) return Standing::reached;
  if (may_have >= wanted || !t.complete) return Standing::open;
  *peer = lost;
  return Standing::failed;
}

void DurabilityTracker::judge(Lsn transaction) {
  auto it = transactions_.find(transaction);
  bool all = it->second.complete;
  for (auto &[name, client] : it->second.clients) {
    NodeId peer = kNoNode;
    Standing s = standing(it->second, name, client, &peer);
    all = all && s == Standing::reached;
    if (s != Standing::failed) continue;
    verdicts_.push_back({it->second.key, false, name, peer});
    transactions_.erase(it);
    return;
  }
  if (!all) return;
  verdicts_.push_back({it->second.key, true, {}, kNoNode});
  transactions_.erase(it);
}

std::vector<Verdict> DurabilityTracker::take_verdicts() { return std::exchange(verdicts_, {}); }

}  // namespace vectorshard::ship
