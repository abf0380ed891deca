// Debts and their payment, as src/pg/ship/debt_table.cpp, debt_pay.cpp and export.cpp.
#include <algorithm>

#include "node.hpp"
#include "world.hpp"

namespace sim {

namespace {
constexpr int64_t kDebtsMs = 200, kFirstWaitMs = 200, kMostWaitMs = 1600;
}

void Node::owe(NodeId peer, int client, Kind table) {
  if (peer == self()) return;
  if (peer != kNoNode && disk.nodes[peer].removed) return;
  Debt &d = disk.debts[{peer, client, client < 0 ? table : Kind::app}];
  d.stamp = ++disk.debt_stamp;
  if (d.since == 0) d.since = world_.now();
  if (world_.tracing()) world_.say(self(), "owes " + std::to_string(peer) + " " + (client < 0 ? table_of(table)->name : client_name(client)));
  if (pay_planned_ || !up) return;
  pay_planned_ = true;
  world_.after(self(), world_.random.below(20), [this] {
    pay_planned_ = false;
    pay();
  });
}

/// Everything that this node may have written: its clients to their holders and homes, the fabric's tables to all.
void Node::owe_everything() {
  for (int c = 0; c < kClients; c++) {
    if (!disk.resident[c].here) continue;
    for (NodeId n = 1; n < kNodes; n++)
      if (n != self() && disk.holders[c][n].state != HolderState::none && disk.holders[c][n].state != HolderState::gone) owe(n, c);
    NodeId home = disk.clients[c].version ? disk.clients[c].home : kNoNode;
    if (home != self()) owe(home, c);
  }
  for (NodeId n = 1; n < kNodes; n++)
    if (n != self() && disk.nodes[n].known && !disk.nodes[n].removed)
      for (Kind k : {Kind::client, Kind::holder, Kind::wish, Kind::node}) owe(n, -1, k);
  disk.everything_is_owed = false;
}

void Node::assign_homes() {
  std::vector<int> known;
  for (auto &[key, debt] : disk.debts)
    if (std::get<0>(key) == kNoNode && disk.clients[std::get<1>(key)].version != 0) known.push_back(std::get<1>(key));
  for (int client : known) {
    disk.debts.erase({kNoNode, client, Kind::app});
    owe(disk.clients[client].home, client);
  }
}

void Node::pay() {
  assign_homes();
  if (disk.debts.empty()) return;
  for (auto &[node, peer] : peers)
    if (peer.connected) pay_peer(node, peer);
  if (pay_planned_ || disk.debts.empty()) return;
  pay_planned_ = true;
  world_.after(self(), kDebtsMs, [this] {
    pay_planned_ = false;
    pay();
  });
}

void Node::pay_peer(NodeId node, Peer &peer) {
  std::vector<Due> due;
  for (auto &[key, debt] : disk.debts) {
    if (std::get<0>(key) != node) continue;
    auto wait = waits_.find(key);
    bool waits = wait != waits_.end() && wait->second.first > world_.now();
    bool paying = std::any_of(peer.queue.begin(), peer.queue.end(), [&, k = key](const Shipment &s) { return s.pays && s.pays->key == k; });
    if (!waits && !paying) due.push_back({key, debt.stamp});
  }
  for (const Due &d : due)
    if (auto shipment = read_payment(node, d)) peer.queue.push_back(std::move(*shipment));
  pump(node);
}

/// The payment, or nothing: the debt is gone, or put off.
std::optional<Shipment> Node::read_payment(NodeId peer, const Due &due) {
  auto [to, client, table] = due.key;
  Shipment s;
  s.pays = due;
  if (client < 0) {
    s.batch.reference_tables.insert(table_of(table)->name);
    s.bytes = std::make_shared<const std::string>(ship::encode(export_table(table)));
    return s;
  }
  const ClientRow &row = disk.clients[client];
  ship::DebtStanding here{disk.resident[client].here, row.version ? row.home : kNoNode, receives(disk.holders[client][peer].state),
                          disk.nodes[peer].known && !disk.nodes[peer].removed};
  switch (rules_.payment(here, self(), peer)) {
    case ship::Payment::pay: break;
    case ship::Payment::drop: clear_debt(due); return {};
    case ship::Payment::wait: return {};
    case ship::Payment::hand_to_home: hand_to_home(peer, due); return {};
  }
  ship::Batch batch = export_client(client, ship::BatchKind::sync);
  batch.clients[0].as_home = here.home == peer;
  if (batch.clients[0].as_home) s.batch.as_home.insert(client_name(client));
  s.batch.clients.insert(client_name(client));
  s.bytes = std::make_shared<const std::string>(ship::encode(batch));
  return s;
}

/// This node let the client go before the peer had everything: its home has it, and now owes it.
void Node::hand_to_home(NodeId peer, const Due &due) {
  int client = std::get<1>(due.key);
  NodeId home = disk.clients[client].home;
  waits_[due.key] = {world_.now() + 2 * kMostWaitMs, 1};
  world_.message(self(), home, [this, home, peer, client, due] {
    world_.node(home).owe(peer, client);
    world_.message(home, self(), [this, due] { clear_debt(due); });
  });
}

void Node::clear_debt(const Due &due) {
  waits_.erase(due.key);
  auto it = disk.debts.find(due.key);
  if (it != disk.debts.end() && it->second.stamp == due.stamp) disk.debts.erase(it);
}

void Node::settle_payment(NodeId peer, Shipment &shipment, const std::optional<ship::Reply> &reply) {
  const Due &due = *shipment.pays;
  auto put_off = [&] {
    auto &[until, tries] = waits_[due.key];
    until = world_.now() + std::min(kMostWaitMs, kFirstWaitMs << std::min(tries++, 8));
  };
  if (!reply) return put_off();
  for (const ship::Refusal &r : reply->refusals) {
    int client = client_number(r.client);
    switch (rules_.after_refusal(r.reason, !shipment.batch.as_home.empty())) {
      case ship::AfterRefusal::owe: return put_off();
      case ship::AfterRefusal::owe_home: owe(kNoNode, client); break;
      case ship::AfterRefusal::learn_gone: learn_holder(client, peer, {HolderState::gone, r.generation, 0}); break;
    }
  }
  clear_debt(due);
}

namespace {

void add_fact(ship::Batch &batch, const Fact &fact) {
  uint16_t index = 0;
  while (index < batch.tables.size() && batch.tables[index].name != table_of(fact.kind)->name) index++;
  if (index == batch.tables.size()) batch.tables.push_back(*table_of(fact.kind));
  batch.rows.push_back({index, 0, fact.version, {pack(fact)}});
}

}  // namespace

/// All rows and tombstones of a client.
ship::Batch Node::export_client(int client, ship::BatchKind kind) const {
  ship::Batch batch;
  batch.kind = kind;
  batch.from = self();
  batch.from_incarnation = disk.incarnation;
  batch.clock = high_water;
  batch.clients.push_back({client_name(client), false, {}});
  for (int k = 0; k < kKeys; k++) {
    const Cell &cell = disk.cells[client][k];
    Fact f;
    f.client = static_cast<uint8_t>(client);
    f.key = static_cast<uint8_t>(k);
    if (cell.row.version != 0) {
      f.kind = Kind::app;
      f.version = cell.row.version;
      f.row = cell.row;
      add_fact(batch, f);
    }
    if (cell.tombstone != 0) {
      f.kind = Kind::tombstone;
      f.version = cell.tombstone;
      add_fact(batch, f);
    }
  }
  if (batch.tables.empty()) batch.tables.push_back(*table_of(Kind::app));
  return batch;
}

/// A fabric table in full.
ship::Batch Node::export_table(Kind table) const {
  ship::Batch batch;
  batch.kind = ship::BatchKind::sync;
  batch.from = self();
  batch.from_incarnation = disk.incarnation;
  batch.clock = high_water;
  batch.tables.push_back(*table_of(table));
  batch.clients.push_back({"", false, {}});
  auto add = [&](int client, NodeId node, NodeId planner, HolderState state, bool flag, bool core, int64_t number, Version version) {
    Fact f{table, static_cast<uint8_t>(client), 0, static_cast<uint8_t>(node), static_cast<uint8_t>(planner), state, flag, core, number,
           version, {}};
    if (version != 0) batch.rows.push_back({0, 0, version, {pack(f)}});
  };
  for (NodeId n = 1; n < kNodes; n++) {
    const NodeRow &row = disk.nodes[n];
    if (table == Kind::node && row.known) add(0, n, 0, HolderState::none, row.removed, row.core, row.incarnation, row.version);
    for (int c = 0; c < kClients; c++) {
      const HolderStatement &h = disk.holders[c][n];
      if (table == Kind::holder && h.state != HolderState::none) add(c, n, 0, h.state, false, false, h.generation, h.version);
      for (NodeId p = 1; table == Kind::wish && p < kNodes; p++)
        add(c, n, p, HolderState::none, false, false, disk.wishes[c][n][p].until, disk.wishes[c][n][p].version);
    }
  }
  for (int c = 0; table == Kind::client && c < kClients; c++)
    add(c, disk.clients[c].home, 0, HolderState::none, false, false, disk.clients[c].epoch, disk.clients[c].version);
  return batch;
}

}  // namespace sim
