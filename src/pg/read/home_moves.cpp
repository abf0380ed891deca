// Moves of homes beside a scan of all clients: see home_moves.hpp.
#include "pg/read/home_moves.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/read/session.hpp"

namespace vectorshard::read {

namespace {

constexpr const char *kCount = "SELECT count(*) || ' ' || coalesce(max(event), 0) FROM vectorshard.home_event";

std::string counted_here(Snapshot snapshot) { return read_fabric(kCount, {}, snapshot).at(0, 0); }

/// All are asked at once. One that does not answer is an error: its clients cannot be left out.
void count_there(const std::vector<NodeId> &nodes, std::map<NodeId, std::string> *counts) {
  for (NodeId node : nodes)
    if (auto sent = session_at(node).send(kCount, nullptr); !sent.ok()) raise_unreachable(session_at(node), sent.error());
  for (NodeId node : nodes) {
    auto r = session_at(node).receive();
    if (!r.ok()) raise_unreachable(session_at(node), r.error());
    (*counts)[node] = PQgetvalue(r.value().get(), 0, 0);
  }
}

}  // namespace

HomeMoves::HomeMoves(const std::vector<HomeNode> &homes, Snapshot snapshot) {
  before_[bridge::self_node()] = counted_here(snapshot);
  std::vector<NodeId> nodes;
  for (const HomeNode &h : homes) nodes.push_back(h.node);
  count_there(nodes, &before_);
}

void HomeMoves::require_none() const {
  std::map<NodeId, std::string> after;
  std::vector<NodeId> nodes;
  for (const auto &[node, count] : before_)
    if (node != bridge::self_node()) nodes.push_back(node);
  count_there(nodes, &after);
  after[bridge::self_node()] = counted_here(latest());
  if (after == before_) return;
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "homes of clients moved while the statement began", "It reads the clients of all homes.",
                         "Retry the transaction, or name the clients.");
}

}  // namespace vectorshard::read
