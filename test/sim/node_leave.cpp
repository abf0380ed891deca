// Letting a client go by the handshake with its home, and moving a home. As src/pg/place/evict.cpp and the home's side of it;
// the move of a home as docs/architecture.md has it: only the home moves the home, to a complete holder.
#include <algorithm>

#include "node.hpp"
#include "world.hpp"

namespace sim {

namespace {
constexpr int64_t kLeaveMs = 250, kShipMs = 50, kAnswerMs = 5000, kPollMs = 10;
}

/// Over content, and tombstones that are certainly still kept: equal digests, equal states.
uint64_t Node::digest(int client) const {
  uint64_t h = 1469598103934665603ULL;
  auto mix = [&h](uint64_t v) { h = (h ^ v) * 1099511628211ULL + (v >> 29); };
  Version horizon = apply::horizon_at(wall_ms(), world_.profile.retention_ms * 7 / 8);
  for (int k = 0; k < kKeys; k++) {
    const Cell &c = disk.cells[client][k];
    mix(static_cast<uint64_t>(c.row.version));
    mix(c.row.a * 3ULL + c.row.b * 5ULL + c.row.big * 7ULL);
    mix(static_cast<uint64_t>(c.row.n.birth));
    for (const apply::CounterEntry &e : c.row.n.entries) {
      mix(static_cast<uint64_t>(e.key.generation) + static_cast<uint64_t>(e.key.incarnation * 31 + e.key.node));
      mix(e.plus * 1000003 + e.minus);
    }
    mix(c.tombstone > horizon ? static_cast<uint64_t>(c.tombstone) : 0);
  }
  return h;
}

void Node::evict(int client) {
  Resident &r = disk.resident[client];
  if (!r.here || r.leaving || is_home(client) || disk.clients[client].version == 0 || jobs[client] || leaving_id[client]) return;
  r.leaving = true;
  uint64_t id = leaving_id[client] = ++ids_;
  wait_to_leave(client, id, world_.now() + kLeaveMs);
}

/// Until no transaction is open that may write the client, then a moment for the shipper.
void Node::wait_to_leave(int client, uint64_t id, int64_t deadline) {
  bool writers = std::any_of(open.begin(), open.end(), [&](const OpenTxn &t) {
    return std::any_of(t.changes.begin(), t.changes.end(), [&](const Fact &f) { return of_client(f.kind) && f.client == client; });
  });
  if (writers && world_.now() >= deadline) return cancel_leave(client, id);
  if (writers) {
    world_.after(self(), kPollMs, [this, client, id, deadline] {
      if (leaving_id[client] == id) wait_to_leave(client, id, deadline);
    });
    return;
  }
  if (!rules_.asks_home_to_leave()) {
    // Planted: everything was confirmed by somebody, so it may go.
    world_.after(self(), kShipMs, [this, client, id] {
      if (leaving_id[client] != id) return;
      if (!all_shipped()) return cancel_leave(client, id);
      remove_here(client, {});
    });
    return;
  }
  world_.after(self(), all_shipped() ? 1 : kShipMs, [this, client, id] {
    if (leaving_id[client] == id) ask_home(client, id, false);
  });
}

void Node::cancel_leave(int client, uint64_t id) {
  if (leaving_id[client] != id) return;
  leaving_id[client] = 0;
  disk.resident[client].leaving = false;
}

void Node::ask_home(int client, uint64_t id, bool sent) {
  NodeId home = disk.clients[client].home;
  std::vector<NodeId> owed, holders;
  for (auto &[key, debt] : disk.debts)
    if (std::get<1>(key) == client) owed.push_back(std::get<0>(key));
  for (NodeId n = 1; n < kNodes; n++) {
    HolderState state = disk.holders[client][n].state;
    if (state != HolderState::none && state != HolderState::gone) holders.push_back(n);
  }
  std::vector<NodeId> over = rules_.debts_to_hand_over(owed, holders, all_shipped(), home, self());
  world_.after(self(), kAnswerMs, [this, client, id] { cancel_leave(client, id); });
  world_.message(self(), home, [=, this, epoch = disk.clients[client].epoch, mine = digest(client)] {
    Node &there = world_.node(home);
    place::AskedStanding standing = there.standing(client);
    if (there.moving_to[client] != kNoNode) standing.known = false;  // the home is just being moved
    place::Answer answer = rules_.answer_to_leaver(standing, home, epoch, sent || there.digest(client) == mine);
    if (answer == place::Answer::ok)
      for (NodeId peer : over)
        if (peer != home && peer != self() && peer != kNoNode) there.owe(peer, client);
    world_.message(home, self(), [=, this] {
      if (leaving_id[client] != id) return;
      if (answer == place::Answer::send && !sent) return send_all(client, id);
      if (answer != place::Answer::ok) return cancel_leave(client, id);
      remove_here(client, over);
    });
  });
}

/// The full state to the home; all of it must be merged there.
void Node::send_all(int client, uint64_t id) {
  NodeId home = disk.clients[client].home;
  ship::Batch batch = export_client(client, ship::BatchKind::sync);
  batch.clients[0].as_home = true;
  world_.message(self(), home, [=, this] {
    world_.node(home).apply(batch, [=, this](const std::optional<ship::Reply> &reply) {
      bool all = reply && reply->refusals.empty() && reply->dead_letters == 0;
      world_.message(home, self(), [=, this] {
        if (leaving_id[client] != id) return;
        if (!all) return cancel_leave(client, id);
        ask_home(client, id, true);
      });
    });
  });
}

/// The last step, one transaction: nothing of the client stays here.
void Node::remove_here(int client, const std::vector<NodeId> &handed_over) {
  std::vector<Fact> changes;
  Resident &r = disk.resident[client];
  for (int k = 0; k < kKeys; k++) {
    Cell &cell = disk.cells[client][k];
    if (cell.row.version != 0 && rules_.eviction_leaves_tombstones()) {
      Fact f;
      f.kind = Kind::tombstone;
      f.client = static_cast<uint8_t>(client);
      f.key = static_cast<uint8_t>(k);
      f.version = stamp(cell.row.version);
      cell.tombstone = f.version;
      changes.push_back(f);
    }
    cell.row = {};
  }
  set_own_holder(client, HolderState::gone, r.generation, changes);
  r = {};
  leaving_id[client] = 0;
  NodeId home = disk.clients[client].home;
  std::erase_if(disk.debts, [&](const auto &d) {
    NodeId peer = std::get<0>(d.first);
    return std::get<1>(d.first) == client &&
           (peer == home || std::find(handed_over.begin(), handed_over.end(), peer) != handed_over.end());
  });
  log(std::move(changes), world_.now());
  if (world_.tracing()) world_.say(self(), "lets " + client_name(client) + " go");
}

/// The home moves to a holder that has everything it has. While it is asked, the home lets nobody go.
void Node::move_home(int client) {
  if (!is_home(client) || !disk.resident[client].here || moving_to[client] != kNoNode) return;
  std::vector<NodeId> live;
  for (const ship::HolderRef &h : receiving_holders(client, kNoNode))
    if (disk.holders[client][h.node].state == HolderState::live) live.push_back(h.node);
  if (live.empty()) return;
  NodeId to = world_.random.pick(live);
  moving_to[client] = to;
  uint64_t id = moving_id[client] = ++ids_;
  world_.after(self(), kAnswerMs, [this, client, id] {
    if (moving_id[client] == id) moving_to[client] = kNoNode;
  });
  world_.message(self(), to, [=, this, mine = digest(client)] {
    Node &there = world_.node(to);
    const Resident &r = there.disk.resident[client];
    bool complete = r.here && !r.leaving && r.confirmed && there.digest(client) == mine;
    world_.message(to, self(), [=, this] {
      if (moving_to[client] != to || moving_id[client] != id || !is_home(client)) return;
      moving_to[client] = kNoNode;
      if (!complete) return owe(to, client);
      Fact f;
      f.kind = Kind::client;
      f.client = static_cast<uint8_t>(client);
      f.node = static_cast<uint8_t>(to);
      f.number = disk.clients[client].epoch + 1;
      f.version = stamp(disk.clients[client].version);
      learn_client(client, {to, f.number, f.version});
      log({f}, world_.now());
      if (world_.tracing()) world_.say(self(), "moves the home of " + client_name(client) + " to " + std::to_string(to));
    });
  });
}

}  // namespace sim
