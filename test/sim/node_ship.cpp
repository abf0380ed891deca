// The shipper: decodes WAL once, routes, sends, resends, takes answers, confirms. As src/pg/ship/shipper.cpp and peer.cpp.
#include <algorithm>

#include "core/ship/codec.hpp"
#include "node.hpp"
#include "world.hpp"

namespace sim {

using ship::Change;
using ship::HolderRef;
using ship::Lsn;

namespace {
constexpr size_t kInFlight = 4;
constexpr int kFailuresMax = 3;
constexpr int64_t kTimeoutMs = 1500, kMostRetryMs = 600;
}  // namespace

void Node::read_wal() {
  bool progressed = false;
  for (const Txn &txn : disk.wal) {
    if (txn.lsn <= read_to_) continue;
    if (txn.visible_at > world_.now() && rules_.routes_what_is_visible()) {
      world_.after(self(), txn.visible_at - world_.now() + 1, [this] { read_wal(); });
      break;
    }
    progress_.open(txn.lsn);
    route(txn);
    progress_.settle(txn.lsn);
    read_to_ = txn.lsn;
    progressed = true;
  }
  if (!progressed) return;
  relieve();
  for (auto &[node, peer] : peers) pump(node);
}

void Node::route(const Txn &txn) {
  for (const Fact &logged : txn.changes) {
    Fact f = logged;
    if (f.kind == Kind::holder && f.state == HolderState::copying) continue;  // its home hears of it directly
    if (!of_client(f.kind)) {
      send(f, txn, router_.targets_of_all());
      continue;
    }
    if (f.kind == Kind::app && f.flag && rules_.sender_fills()) {
      const AppRow &here = disk.cells[f.client][f.key].row;
      if (here.version == 0) continue;  // deleted, or with the home since
      f.row = here;
      f.version = here.version;
    }
    ship::ClientRoute route;
    route.home = disk.clients[f.client].version ? disk.clients[f.client].home : kNoNode;
    for (NodeId n = 1; n < kNodes; n++)
      if (receives(disk.holders[f.client][n].state)) route.holders.push_back({n, disk.holders[f.client][n].generation});
    send(f, txn, router_.targets(route));
  }
}

void Node::send(const Fact &fact, const Txn &txn, const std::vector<ship::Target> &targets) {
  if (world_.tracing() && of_client(fact.kind)) {
    std::string text = "ships " + client_name(fact.client) + "." + std::to_string(fact.key) + "=" + std::to_string(fact.version) + " to";
    for (const ship::Target &t : targets) text += " " + std::to_string(t.peer) + (t.as_home ? " (home)" : "");
    world_.say(self(), text);
  }
  auto values = std::make_shared<const std::string>(ship::encode_values({pack(fact)}));
  for (const ship::Target &target : targets) {
    if (target.peer == kNoNode) {
      owe(kNoNode, fact.client);
      continue;
    }
    progress_.hold(txn.lsn);
    peers[target.peer].builder.add({table_of(fact.kind), values, fact.version, of_client(fact.kind) ? client_name(fact.client) : ClientName(),
                                    target.as_home, target.shipped_to, txn.lsn, 1});
  }
}

/// Nodes came or went.
void Node::follow_nodes() {
  std::vector<NodeId> active;
  for (NodeId n = 1; n < kNodes; n++)
    if (n != self() && disk.nodes[n].known && !disk.nodes[n].removed) active.push_back(n);
  router_ = ship::Router(self(), active);
  for (NodeId n : active) {
    bool fresh = !peers.contains(n);
    peers[n];
    if (fresh) connect(n);
  }
  for (auto it = peers.begin(); it != peers.end();) {
    if (router_.active(it->first)) {
      ++it;
      continue;
    }
    it->second.in_flight = 0;
    for (Shipment &s : take_unsent(it->second)) settle_all(s.batch);
    it = peers.erase(it);
  }
  std::erase_if(disk.debts, [&](const auto &d) { return std::get<0>(d.first) != kNoNode && disk.nodes[std::get<0>(d.first)].removed; });
}

/// hello(): a removed node, or one in an earlier life, is sent away. Tried again until it works.
void Node::connect(NodeId node) {
  auto it = peers.find(node);
  if (it == peers.end() || it->second.connected) return;
  uint64_t attempt = it->second.connection = ++ids_;
  auto mine = [this, node, attempt]() -> Peer * {
    auto p = peers.find(node);
    return p != peers.end() && p->second.connection == attempt && !p->second.connected ? &p->second : nullptr;
  };
  it->second.retry_ms = std::clamp<int64_t>(it->second.retry_ms * 2, 20, kMostRetryMs);
  world_.after(self(), it->second.retry_ms + 4 * world_.profile.slow_delay_ms, [this, node, mine] {
    if (mine()) connect(node);
  });
  world_.message(self(), node, [this, node, mine] {
    const NodeRow &us = world_.node(node).disk.nodes[self()];
    if (!rules_.believed(us.known, us.removed, us.incarnation, disk.incarnation)) return;
    world_.message(node, self(), [this, node, mine] {
      Peer *peer = mine();
      if (!peer) return;
      peer->connected = true;
      peer->in_flight = 0;
      if (!rules_.long_away_delivers() && world_.now() - peer->last_contact > world_.profile.retention_ms)
        for (Shipment &s : take_unsent(*peer)) settle_all(s.batch);  // planted: what it wrote meanwhile is not believed
      peer->last_contact = world_.now();
      peer->retry_ms = 0;
      pay();
      pump(node);
    });
  });
}

void Node::broken(NodeId node, uint64_t connection) {
  auto it = peers.find(node);
  if (it == peers.end() || it->second.connection != connection || !it->second.connected) return;
  it->second.connected = false;
  it->second.in_flight = 0;
  world_.after(self(), 20 + world_.random.below(100), [this, node] { connect(node); });
}

/// A connection on which nothing came for too long is broken.
void Node::watch(NodeId node) {
  Peer &p = peers.at(node);
  if (p.watched) return;
  p.watched = true;
  world_.after(self(), kTimeoutMs + 4 * world_.profile.slow_delay_ms, [this, node, connection = p.connection, answers = p.answers] {
    auto it = peers.find(node);
    if (it == peers.end()) return;
    it->second.watched = false;
    if (it->second.in_flight == 0) return;
    if (it->second.connection == connection && it->second.answers == answers) return broken(node, connection);
    watch(node);
  });
}

void Node::pump(NodeId node) {
  auto it = peers.find(node);
  if (it == peers.end()) return;
  Peer &p = it->second;
  while (p.connected && p.in_flight < kInFlight) {
    if (p.in_flight == p.queue.size()) {
      if (p.builder.empty()) return;
      Shipment next;
      next.batch = p.builder.seal(self(), disk.incarnation, high_water, disk.next_lsn);
      next.bytes = std::make_shared<const std::string>(std::move(next.batch.bytes));
      p.queue.push_back(std::move(next));
    }
    auto bytes = p.queue[p.in_flight].bytes;
    uint64_t serial = p.queue[p.in_flight++].serial = ++ids_;
    // In the order of sending, as TCP has it; what an old connection still carries may come after the next one's.
    int64_t at = std::max(p.last_arrival, world_.now() + world_.delay(self(), node));
    p.last_arrival = at;
    world_.send(self(), node, at, [this, node, serial, bytes] { world_.node(node).arrived(self(), serial, bytes); });
    watch(node);
    if (world_.faults && world_.random.chance(world_.profile.duplicate))
      world_.send(self(), node, at + world_.random.below(1000), [this, node, bytes] { world_.node(node).arrived(self(), 0, bytes); });
  }
}

/// At the receiver. `serial` 0: a second copy of the message; nobody waits for the answer.
void Node::arrived(NodeId from, uint64_t serial, std::shared_ptr<const std::string> bytes) {
  Node &sender = world_.node(from);
  auto answer = [this, &sender, from, serial](const std::optional<ship::Reply> &reply) {
    if (serial == 0) return;
    int64_t at = std::max(answers_at_[from], world_.now() + world_.delay(self(), from));
    answers_at_[from] = at;
    world_.send(self(), from, at, [&sender, serial, reply, node = self()] { sender.reply_came(node, serial, reply); });
  };
  if (world_.faults && world_.random.chance(world_.profile.error)) return answer(std::nullopt);
  auto batch = ship::decode_batch(*bytes);
  if (!batch.ok()) return world_.report("corrupt", batch.error().message);
  apply(batch.value(), answer);
}

void Node::settle_all(const ship::SealedBatch &batch) {
  for (auto &[transaction, rows] : batch.pieces) progress_.settle(transaction, rows);
  Lsn confirmed = progress_.confirmable();
  if (confirmed <= disk.confirmed) return;
  disk.confirmed = confirmed;
  // Read again after a crash is what starts at the position or later.
  while (!disk.wal.empty() && disk.wal.front().lsn < confirmed) disk.wal.pop_front();
}

/// Answers come in order; one that is not for the oldest shipment means that something was lost.
void Node::reply_came(NodeId node, uint64_t serial, const std::optional<ship::Reply> &reply) {
  auto it = peers.find(node);
  if (it == peers.end() || !it->second.connected || it->second.in_flight == 0) return;
  Peer &p = it->second;
  uint64_t connection = p.connection;
  if (serial < p.queue.front().serial) return;  // of a connection that broke
  if (serial > p.queue.front().serial) return broken(node, connection);
  p.answers++;
  p.last_contact = world_.now();
  if (!reply && ++p.queue.front().failures < kFailuresMax) return broken(node, connection);
  Shipment first = std::move(p.queue.front());
  p.queue.pop_front();
  p.in_flight--;
  if (!reply) broken(node, connection);
  take(node, first, reply);
  pump(node);
}

void Node::take(NodeId node, Shipment &shipment, const std::optional<ship::Reply> &reply) {
  if (reply) observe(reply->clock);
  if (shipment.pays) return settle_payment(node, shipment, reply);
  if (!reply) {
    owe_undelivered(node, shipment.batch);
  } else {
    for (const ship::Refusal &r : reply->refusals) {
      int client = client_number(r.client);
      switch (rules_.after_refusal(r.reason, shipment.batch.as_home.contains(r.client))) {
        case ship::AfterRefusal::owe: owe(node, client); break;
        case ship::AfterRefusal::owe_home: owe(kNoNode, client); break;
        case ship::AfterRefusal::learn_gone: learn_holder(client, node, {HolderState::gone, r.generation, 0}); break;
      }
    }
  }
  settle_all(shipment.batch);
}

void Node::owe_undelivered(NodeId node, const ship::SealedBatch &batch) {
  if (!rules_.undelivered_is_owed()) return;
  for (const ClientName &c : batch.clients) owe(node, client_number(c));
  for (const std::string &t : batch.reference_tables) owe(node, -1, kind_of(t));
}

/// What was not sent yet, payments left out (they are made anew).
std::vector<Shipment> Node::take_unsent(Peer &p) {
  if (!p.builder.empty()) {
    Shipment last;
    last.batch = p.builder.seal(self(), disk.incarnation, high_water, disk.next_lsn);
    p.queue.push_back(std::move(last));
  }
  std::vector<Shipment> out;
  for (size_t i = p.in_flight; i < p.queue.size(); i++)
    if (!p.queue[i].pays) out.push_back(std::move(p.queue[i]));
  p.queue.resize(p.in_flight);
  return out;
}

/// A peer that holds back too much is owed the clients concerned instead.
void Node::relieve() {
  for (auto &[node, p] : peers) {
    size_t rows = p.builder.rows();
    for (const Shipment &s : p.queue) rows += s.pays ? 0 : s.batch.rows;
    if (rows <= static_cast<size_t>(world_.profile.queue_limit)) continue;
    std::vector<Shipment> undelivered = take_unsent(p);
    for (const Shipment &s : undelivered) owe_undelivered(node, s.batch);
    for (const Shipment &s : undelivered) settle_all(s.batch);
  }
}

/// True if everything written here was delivered or stands in debt.
bool Node::all_shipped() const { return progress_.idle() && (disk.wal.empty() || disk.wal.back().lsn <= read_to_); }

}  // namespace sim
