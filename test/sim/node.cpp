// The life of a node: its clock, its crashes, its WAL. See node.hpp.
#include "node.hpp"

#include <algorithm>

#include "core/base/version.hpp"
#include "world.hpp"

namespace sim {

namespace {
constexpr int64_t kClockStrideMs = 100;
constexpr int64_t kLookAfterMs = 150;
}  // namespace

Node::Node(World &world, NodeId self) : world_(world), rules_(world.rules) { disk.self = self; }

int64_t Node::wall_ms() const {
  int64_t ms = world_.now() + world_.skew(self());
  return kVersionEpochUnixMs + ms / world_.profile.coarse_ms * world_.profile.coarse_ms;
}

Version Node::stamp(Version replaced) {
  Version v = next_version(wall_ms(), high_water, replaced, self());
  observe(v);
  return v;
}

void Node::observe(Version seen) {
  high_water = std::max(high_water, seen);
  if (high_water >= disk.clock_bound) disk.clock_bound = high_water + (kClockStrideMs << (kVersionNodeBits + kVersionCounterBits));
}

void Node::log(std::vector<Fact> changes, int64_t visible_at) {
  disk.next_lsn += 16;
  disk.wal.push_back({disk.next_lsn, visible_at, std::move(changes)});
  if (read_planned_) return;
  read_planned_ = true;
  world_.after(self(), 1 + world_.random.below(world_.profile.decode_ms), [this] {
    read_planned_ = false;
    read_wal();
  });
}

void Node::set_own_holder(int client, HolderState state, Generation generation, std::vector<Fact> &changes) {
  Fact f;
  f.kind = Kind::holder;
  f.client = static_cast<uint8_t>(client);
  f.node = static_cast<uint8_t>(self());
  f.state = state;
  f.number = generation;
  f.version = stamp(disk.holders[client][self()].version);
  disk.holders[client][self()] = {state, generation, f.version};
  changes.push_back(f);
}

/// Holders that are sent what is written of the client: not this node, not `but`, no removed ones.
std::vector<ship::HolderRef> Node::receiving_holders(int client, NodeId but) const {
  std::vector<ship::HolderRef> out;
  for (NodeId n = 1; n < kNodes; n++) {
    const HolderStatement &h = disk.holders[client][n];
    if (n != self() && n != but && receives(h.state) && !disk.nodes[n].removed) out.push_back({n, h.generation});
  }
  return out;
}

void Node::crash() {
  up = false;
  boot++;
  // What was in WAL is done when the server has recovered; what was open is gone.
  for (const OpenTxn &t : open)
    if (t.logged)
      for (const Fact &f : t.changes)
        if (of_client(f.kind)) perform(f);
  open.clear();
  for (Txn &t : disk.wal) t.visible_at = std::min(t.visible_at, world_.now());
  jobs.fill({});
  wanted_until.fill(0);
  retry_at.fill(0);
  leaving_id.fill(0);
  moving_to.fill(kNoNode);
  peers.clear();
  waits_.clear();
  read_planned_ = pay_planned_ = false;
}

void Node::start() {
  up = true;
  boot++;
  high_water = disk.clock_bound;
  for (Resident &r : disk.resident) r.leaving = false;
  if (disk.everything_is_owed) owe_everything();
  progress_ = ship::SlotProgress(disk.confirmed);
  read_to_ = disk.confirmed - 1;  // what commits at the position is delivered again
  follow_nodes();
  world_.after(self(), 1, [this] { read_wal(); });
  world_.after(self(), 1, [this] { pay(); });
  world_.after(self(), kLookAfterMs, [this] { look_after_clients(); });
}

/// Failover to a standby without the slot: what was not confirmed is not known, so everything is owed.
void Node::lose_slot() {
  if (up) crash();
  if (rules_.lost_slot_owes_all()) disk.everything_is_owed = true;
  disk.wal.clear();
  disk.confirmed = disk.next_lsn;
}

bool Node::quiet() const { return stuck_on().empty(); }

std::string Node::stuck_on() const {
  if (!up) return "down";
  if (!disk.debts.empty()) {
    auto &[peer, client, table] = disk.debts.begin()->first;
    return "a debt to " + std::to_string(peer) + " of " + (client < 0 ? table_of(table)->name : client_name(client));
  }
  if (!open.empty()) return "an open transaction";
  if (!disk.wal.empty() && (disk.wal.back().lsn > read_to_ || !progress_.idle())) return "WAL not shipped";
  for (auto &[n, p] : peers)
    if (!p.queue.empty() || !p.builder.empty()) return "a queue to " + std::to_string(n);
  for (int c = 0; c < kClients; c++) {
    if (jobs[c]) return "a copy of " + client_name(c);
    if (leaving_id[c]) return "an eviction of " + client_name(c);
    if (disk.resident[c].here && !disk.resident[c].confirmed) return "an unconfirmed copy of " + client_name(c);
    if (disk.holders[c][self()].state == HolderState::copying) return "a holder row that says copying " + client_name(c);
  }
  return "";
}

}  // namespace sim
