// Choosing who answers: see sources.hpp.
#include "pg/read/sources.hpp"

#include <unordered_map>

#include "core/read/nearest_source.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/written_at_home.hpp"
#include "pg/place/api.hpp"
#include "pg/read/session.hpp"
#include "pg/read/whereabouts.hpp"
#include "pg/ship/api.hpp"

namespace vectorshard::read {

namespace {

constexpr size_t kOwnChangesMost = 10000;

std::unordered_map<std::string, int64> &own_changes() {
  static std::unordered_map<std::string, int64> changes;
  return changes;
}

bool changed_lately(const std::string &client) {
  auto it = own_changes().find(client);
  return it != own_changes().end() && bridge::steady_us() - it->second < bridge::kOwnChangesUs;
}

Source source(NodeId node) { return {node, place::link_rtt_s(node), ship::known_dead(node)}; }

}  // namespace

void note_changed_at_home(const std::string &client) {
  if (own_changes().size() >= kOwnChangesMost) own_changes().clear();
  own_changes()[client] = bridge::steady_us();
}

Sources::Sources(std::map<NodeId, std::vector<std::string>> homes, bool home_alone) : home_alone_(home_alone) {
  for (auto &[home, clients] : homes)
    for (auto &client : clients) home_of_[client] = home;
}

/// kNoNode: nobody who was not asked yet.
NodeId Sources::best(const std::string &client, NodeId home, const std::vector<NodeId> &holders) const {
  auto tried = tried_.find(client);
  auto open = [&](NodeId node) { return tried == tried_.end() || !tried->second.contains(node); };
  std::vector<Source> copies;
  for (NodeId node : holders)
    if (node != home && open(node)) copies.push_back(source(node));
  return nearest_source(open(home) ? source(home) : Source{}, copies);
}

std::vector<Ask> Sources::grouped(const std::vector<std::string> &clients, std::vector<std::string> *left) {
  std::map<std::string, std::vector<NodeId>> holders;
  if (!home_alone_) holders = live_holders(clients);
  std::map<NodeId, Ask> at_home, at_holder;
  for (const std::string &client : clients) {
    NodeId home = home_of_.at(client), node = best(client, home, holders[client]);
    if (node == kNoNode) {
      left->push_back(client);
      continue;
    }
    Ask &ask = (node == home ? at_home : at_holder)[node];
    ask.node = node;
    ask.is_home = node == home;
    ask.clients.push_back(client);
  }
  std::vector<Ask> out;
  for (auto *asks : {&at_home, &at_holder})
    for (auto &[node, ask] : *asks) out.push_back(std::move(ask));
  return out;
}

std::vector<Ask> Sources::first() {
  std::map<NodeId, Ask> near;
  std::vector<std::string> rest;
  std::map<NodeId, bool> asked_first;  // what holds for all clients of a home
  for (const auto &[client, home] : home_of_) {
    auto known = asked_first.find(home);
    if (known == asked_first.end())
      known = asked_first.emplace(home, home_alone_ || near_enough(source(home)) || session_at(home).wrote()).first;
    if (!known->second && !changed_lately(client)) {
      rest.push_back(client);
      continue;
    }
    Ask &ask = near[home];
    ask.node = home;
    ask.clients.push_back(client);
  }
  std::vector<std::string> left;
  std::vector<Ask> out = rest.empty() ? std::vector<Ask>() : grouped(rest, &left);
  for (auto &[home, ask] : near) out.push_back(std::move(ask));
  return out;
}

std::vector<Ask> Sources::next(const Ask &failed, std::vector<std::string> *left) {
  if (home_alone_ || session_at(home_of_.at(failed.clients.front())).wrote()) {
    left->insert(left->end(), failed.clients.begin(), failed.clients.end());
    return {};
  }
  for (const auto &client : failed.clients) tried_[client].insert(failed.node);
  return grouped(failed.clients, left);
}

}  // namespace vectorshard::read
