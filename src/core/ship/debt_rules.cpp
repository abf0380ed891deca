// Who owes whom: see debt_rules.hpp.
#include "core/ship/debt_rules.hpp"

#include <algorithm>
#include <utility>

namespace vectorshard::ship {

std::vector<NodeId> owed_after_merge(bool is_home, BatchKind kind, bool changed, const BatchClient &sent,
                                     const std::vector<HolderRef> &holders) {
  std::vector<NodeId> out;
  if (!is_home) return out;
  bool taught = changed && kind == BatchKind::sync;
  for (const HolderRef &h : holders) {
    bool reached = std::find(sent.shipped_to.begin(), sent.shipped_to.end(), h) != sent.shipped_to.end();
    if (taught || !reached) out.push_back(h.node);
  }
  return out;
}

bool owed_when_heard_of(bool is_home, bool itself, const HolderStatement &heard, Generation known_generation) {
  return is_home && !itself && heard.state == HolderState::live && heard.generation > known_generation;
}

bool home_moves(const HomeStatement &heard, const HomeStatement &known) {
  return heard.home != known.home && std::pair(heard.epoch, heard.version) > std::pair(known.epoch, known.version);
}

std::vector<NodeId> owed_after_move(NodeId self, NodeId home, const std::vector<NodeId> &holders) {
  if (home != self) return {home};
  std::vector<NodeId> out;
  std::copy_if(holders.begin(), holders.end(), std::back_inserter(out), [&](NodeId n) { return n != self; });
  return out;
}

Payment payment(const DebtStanding &here, NodeId self, NodeId peer) {
  if (here.resident) return Payment::pay;
  // At the home itself a client that is not resident is cold, and then nobody else holds it.
  if (!here.peer_receives || !here.peer_active || peer == here.home || here.home == self) return Payment::drop;
  return here.home == kNoNode ? Payment::wait : Payment::hand_to_home;
}

std::vector<NodeId> debts_to_hand_over(const std::vector<NodeId> &owed, const std::vector<NodeId> &holders, bool shipped,
                                       NodeId home, NodeId self) {
  std::vector<NodeId> out = owed;
  if (!shipped) out.insert(out.end(), holders.begin(), holders.end());
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  std::erase(out, home);
  std::erase(out, self);
  return out;
}

}  // namespace vectorshard::ship
