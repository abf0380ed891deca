// The holder worker: copies in, births, unconfirmed copies made again; and what the asked node answers. As
// src/pg/place/holder_bring.cpp, copy.cpp, copy_serve.cpp, receive.cpp, holder_tidy.cpp.
#include <algorithm>

#include "node.hpp"
#include "world.hpp"

namespace sim {

namespace {
constexpr int64_t kLookMs = 400, kJobTimeoutMs = 6000, kRetryMs = 300;
}

place::AskedStanding Node::standing(int client) const {
  const ClientRow &row = disk.clients[client];
  const Resident &r = disk.resident[client];
  return {row.version != 0, row.home, row.epoch, r.here, r.leaving, false};
}

/// Now and then: wishes that name this node, copies that are not confirmed, copies that nobody wants any more.
void Node::look_after_clients() {
  for (int c = 0; c < world_.profile.clients; c++) {
    int64_t wished = wanted_until[c];
    for (const Wish &w : disk.wishes[c][self()]) wished = std::max(wished, w.until);
    const Resident &r = disk.resident[c];
    const HolderStatement &own = disk.holders[c][self()];
    bool obeys = rules_.planner_writes_holders() && own.state == HolderState::copying;
    bool wants = r.here ? !r.confirmed && !is_home(c) : wished > world_.now() || obeys;
    if (wants && !jobs[c] && retry_at[c] <= world_.now()) bring(c);
    if (!wants && !r.here && !jobs[c] && own.state == HolderState::copying) {
      std::vector<Fact> changes;
      set_own_holder(c, HolderState::gone, own.generation, changes);
      log(std::move(changes), world_.now());
    }
    bool idle = r.here && !leaving_id[c] && wished + 500 < world_.now() && resident_since[c] + 500 < world_.now();
    if (idle && !is_home(c) && world_.faults && world_.random.chance(200)) evict(c);
  }
  collect_tombstones();
  world_.after(self(), kLookMs + world_.random.below(100), [this] { look_after_clients(); });
}

/// Step 1 of a copy: the holder row says `copying`, committed. Step 2: the source hears of it.
void Node::bring(int client) {
  const ClientRow &row = disk.clients[client];
  if (row.version == 0) return birth(client);
  if (row.home == self() || leaving_id[client]) return;
  NodeId source = row.home;
  // After a call that timed out the home is left alone for a while: as often as links are slow.
  bool shunned = world_.random.chance(world_.profile.slow_links);
  if (shunned || !world_.linked(self(), row.home) || !world_.node(row.home).up) {
    if (disk.resident[client].here) return;  // only the home can confirm
    source = kNoNode;
    for (const ship::HolderRef &h : receiving_holders(client, row.home))
      if (disk.holders[client][h.node].state == HolderState::live && world_.linked(self(), h.node)) source = h.node;
    if (source == kNoNode) return;
  }
  HolderStatement &own = disk.holders[client][self()];
  if (!receives(own.state) || (own.state == HolderState::live && !disk.resident[client].here)) {
    std::vector<Fact> changes;
    Generation generation = stamp();
    set_own_holder(client, HolderState::copying, generation, changes);
    log(std::move(changes), world_.now());
  }
  Job job{++ids_, source, own.generation};
  jobs[client] = job;
  world_.after(self(), kJobTimeoutMs, [this, client, job] { copy_failed(client, job.id); });
  world_.message(self(), source, [this, client, job, source, said = own] {
    Node &there = world_.node(source);
    place::AskedStanding here = there.standing(client);
    here.asker_active = there.disk.nodes[self()].known && !there.disk.nodes[self()].removed;
    if (here.known && here.asker_active) there.learn_holder(client, self(), said);
    place::Answer answer = rules_.answer_to_announcement(here, source);
    world_.message(source, self(), [this, client, job, answer] {
      if (!jobs[client] || jobs[client]->id != job.id) return;
      if (place::after_announcement(answer) == place::AfterAnnouncement::copy) return export_asked(client, job);
      copy_failed(client, job.id);
    });
  });
}

void Node::copy_failed(int client, uint64_t job) {
  if (!jobs[client] || jobs[client]->id != job) return;
  jobs[client].reset();
  retry_at[client] = world_.now() + kRetryMs;
}

/// Step 3: the source reads the client, if it is resident there in that very snapshot.
void Node::export_asked(int client, const Job &job) {
  const Resident &held = disk.resident[client];
  world_.message(self(), job.source, [this, client, job, asks = held.here, mine = held.here ? digest(client) : decltype(digest(client)){}] {
    Node &there = world_.node(job.source);
    std::optional<ship::Batch> batch;
    if (asks && rules_.confirms(there.standing(client), job.source, there.digest(client) == mine))
      return world_.message(job.source, self(), [this, client, job] { confirmed(client, job); });
    if (there.disk.resident[client].here) batch = there.export_client(client, ship::BatchKind::copy);
    bool home = there.is_home(client);
    world_.message(job.source, self(), [this, client, job, batch, home] {
      if (!jobs[client] || jobs[client]->id != job.id) return;
      if (!batch) return copy_failed(client, job.id);
      receive_copy(client, job, *batch, home && disk.clients[client].home == job.source);
    });
  });
}

/// The home has nothing that is not here.
void Node::confirmed(int client, const Job &job) {
  if (!jobs[client] || jobs[client]->id != job.id) return;
  Resident &r = disk.resident[client];
  if (!r.here || r.leaving || disk.clients[client].home != job.source) return copy_failed(client, job.id);
  r.confirmed = true;
  jobs[client].reset();
}

/// Step 4, one transaction: residency, rows, and the holder row `live`.
void Node::receive_copy(int client, const Job &job, const ship::Batch &batch, bool from_home) {
  HolderStatement &own = disk.holders[client][self()];
  Resident &r = disk.resident[client];
  if (own.generation != job.generation || !receives(own.state) || r.leaving) return copy_failed(client, job.id);
  bool was_here = r.here;
  if (!was_here) resident_since[client] = world_.now();
  r = {true, false, (was_here && r.confirmed) || from_home, was_here ? r.generation : job.generation};
  if (own.state != HolderState::live) {
    std::vector<Fact> changes;
    set_own_holder(client, HolderState::live, job.generation, changes);
    log(std::move(changes), world_.now());
  }
  apply(batch, [](const auto &) {});
  if (world_.tracing())
    world_.say(self(), "holds " + client_name(client) + " from " + std::to_string(job.source) + (r.confirmed ? "" : ", unconfirmed"));
  jobs[client].reset();
}

/// A client that this node does not know: a core node makes it in the writer's transaction (born_here); an edge asks one.
void Node::birth(int client) {
  if (disk.nodes[self()].core) return;
  std::vector<NodeId> cores;
  for (NodeId n = 1; n < kNodes; n++)
    if (disk.nodes[n].known && disk.nodes[n].core && !disk.nodes[n].removed) cores.push_back(n);
  if (cores.empty()) return;
  std::vector<NodeId> reachable;
  for (NodeId n : cores)
    if (world_.linked(self(), n) && world_.node(n).up) reachable.push_back(n);
  if (reachable.empty()) {
    if (world_.random.chance(world_.profile.birth_alone)) birth_alone(client, cores.front());
    return;
  }
  Job job{++ids_, world_.random.pick(reachable), 0};
  jobs[client] = job;
  world_.after(self(), kJobTimeoutMs, [this, client, job] { copy_failed(client, job.id); });
  world_.message(self(), job.source, [this, client, job] {
    Node &there = world_.node(job.source);
    std::vector<Fact> changes;
    bool born = there.born_here(client, changes);
    if (born) there.log(std::move(changes), world_.now());
    world_.message(job.source, self(), [this, client, job, born, row = there.disk.clients[client]] {
      if (!jobs[client] || jobs[client]->id != job.id) return;
      jobs[client].reset();
      learn_client(client, row);
      if (born && !disk.resident[client].here) become_first(client, true);
    });
  });
}

/// Empty residency of a client that was born a moment ago.
void Node::become_first(int client, bool confirmed) {
  std::vector<Fact> changes;
  Generation generation = stamp();
  disk.resident[client] = {true, false, confirmed, generation};
  resident_since[client] = world_.now();
  set_own_holder(client, HolderState::live, generation, changes);
  log(std::move(changes), world_.now());
}

/// No core node answers, and the setting allows it: a client of that name that exists elsewhere keeps its home.
void Node::birth_alone(int client, NodeId home) {
  Fact f;
  f.kind = Kind::client;
  f.client = static_cast<uint8_t>(client);
  f.node = static_cast<uint8_t>(home);
  f.number = rules_.epoch_of_birth_alone();
  f.version = stamp();
  disk.clients[client] = {home, f.number, f.version};
  std::vector<Fact> changes{f};
  Generation generation = stamp();
  disk.resident[client] = {true, false, false, generation};
  resident_since[client] = world_.now();
  set_own_holder(client, HolderState::live, generation, changes);
  log(std::move(changes), world_.now());
  if (world_.tracing()) world_.say(self(), "gives birth to " + client_name(client) + " alone, home " + std::to_string(home));
}

}  // namespace sim
