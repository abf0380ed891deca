// What happens in a history: operations of applications and operators, and faults, drawn by the weights of the profile.
#include <algorithm>
#include <numeric>

#include "world.hpp"

namespace sim {

Profile drawn_profile(Random &random) {
  Profile p;
  p.nodes = static_cast<int>(random.between(2, 7));
  p.cores = static_cast<int>(random.between(1, std::min(3, p.nodes)));
  if (p.nodes < 7 && random.chance(250)) p.spare = 1;
  p.clients = static_cast<int>(random.between(1, 4));
  p.keys = static_cast<int>(random.between(1, 4));
  p.operations = static_cast<int>(random.between(200, 500));
  p.pause_ms = random.chance(300) ? 100 : 30;
  p.delay_ms = static_cast<int>(random.between(1, 40));
  p.slow_delay_ms = static_cast<int>(random.between(100, 800));
  p.slow_links = random.chance(500) ? 250 : 30;
  p.loss = random.chance(500) ? 20 : 2;
  p.duplicate = random.chance(300) ? 300 : 20;
  p.skew_ms = random.chance(500) ? 5000 : 20;
  p.coarse_ms = random.chance(333) ? 250 : 1;
  p.decode_ms = random.chance(300) ? 400 : 20;
  p.visible_ms = random.chance(300) ? 100 : 0;
  p.queue_limit = random.chance(300) ? 4 : 60;
  p.crash = random.chance(500) ? 12 : 0;
  p.cut = random.chance(600) ? 25 : 0;
  p.slot_loss = random.chance(200) ? 3 : 0;
  p.move = random.chance(500) ? 20 : 0;
  p.remove = p.nodes > 3 && random.chance(150) ? 2 : 0;
  p.birth_alone = random.chance(300) ? 500 : 0;
  p.scan = 5;
  p.read_elsewhere = 5;
  return p;
}

namespace {

Fact node_fact(NodeId n, bool core, int64_t incarnation, Version version, bool removed) {
  Fact f;
  f.kind = Kind::node;
  f.node = static_cast<uint8_t>(n);
  f.core = core;
  f.number = incarnation;
  f.version = version;
  f.flag = removed;
  return f;
}

}  // namespace

/// The nodes of the beginning know each other. Clients are born as they are written.
void World::found() {
  for (NodeId n = 1; n <= profile.nodes; n++)
    for (NodeId m = 1; m <= profile.nodes; m++) node(n).disk.nodes[m] = {true, false, m <= profile.cores, 1, m};
  for (NodeId n = 1; n <= profile.nodes + profile.spare; n++) {
    node(n).disk.in_fabric = n <= profile.nodes;
    node(n).up = false;
  }
  for (NodeId n = 1; n <= profile.nodes; n++) node(n).start();
  run_until(200);
}

NodeId World::any_up() {
  for (int tries = 0; tries < 20; tries++) {
    auto n = static_cast<NodeId>(random.between(1, static_cast<int64_t>(nodes.size()) - 1));
    if (member(n) && node(n).up) return n;
  }
  return kNoNode;
}

void World::operation() {
  NodeId n = any_up();
  if (n == kNoNode) return;
  auto client = static_cast<int>(random.below(profile.clients));
  auto key = static_cast<int>(random.below(profile.keys));
  // Applications write clients where they are served.
  if (random.chance(600))
    for (int tries = 0; tries < 4 && !node(n).disk.resident[client].here; tries++)
      if (NodeId m = any_up()) n = m;
  Node &at = node(n);
  struct Choice {
    int weight;
    std::function<void()> what;
  };
  const Choice choices[] = {
      {profile.write, [&] { at.write(client, key); }},
      {profile.many, [&] { at.write_many(); }},
      {profile.forwarded, [&] { at.write_forwarded(client, key); }},
      {profile.slow_writer, [&] { at.write_slowly(client, key); }},
      {profile.wish, [&] { wish(); }},
      {profile.evict, [&] { at.evict(client); }},
      // A home is not moved to a node that is being taken out; remove_node() waits for its homes.
      {profile.remove ? 0 : profile.move, [&] { if (at.disk.clients[client].version) node(at.disk.clients[client].home).move_home(client); }},
      {profile.scan, [&] { scan(n, 0); }},
      {profile.read_elsewhere, [&] { read_elsewhere(n); }},
      {profile.crash, [&] { crash(n); }},
      {profile.cut, [&] { swizzle(); }},
      {profile.slot_loss, [&] { lose_slot(n); }},
      {profile.remove, [&] { remove(n); }},
      {profile.spare * 4, [&] { join(); }},
  };
  int sum = std::accumulate(std::begin(choices), std::end(choices), 0, [](int s, const Choice &c) { return s + c.weight; });
  auto drawn = static_cast<int>(random.below(sum));
  for (const Choice &c : choices) {
    if (drawn < c.weight) return c.what();
    drawn -= c.weight;
  }
}

/// Any node plans for any: the wish's row is its own.
void World::wish() {
  NodeId planner = any_up(), target = any_up();
  auto client = static_cast<int>(random.below(profile.clients));
  if (planner == kNoNode) return;
  Node &at = node(planner);
  if (at.disk.clients[client].version == 0) return;
  Fact f;
  f.client = static_cast<uint8_t>(client);
  f.node = static_cast<uint8_t>(target);
  if (rules.planner_writes_holders()) {
    // Planted: the planner states what the node shall hold, and the last to say so is believed.
    HolderStatement &known = at.disk.holders[client][target];
    f.kind = Kind::holder;
    f.state = random.chance(700) ? HolderState::copying : HolderState::gone;
    if (known.state == HolderState::live && f.state == HolderState::copying) f.state = HolderState::live;
    f.version = at.stamp(known.version);
    f.number = known.state == HolderState::gone || known.generation == 0 ? f.version : known.generation;
    known = {f.state, f.number, f.version};
    at.log({f}, now());
    return;
  }
  f.kind = Kind::wish;
  f.planner = static_cast<uint8_t>(planner);
  f.number = now() + random.below(2 * profile.wish_ms);
  f.version = at.stamp();
  at.disk.wishes[client][target][planner] = {f.number, f.version};
  at.log({f}, now());
}

void World::crash(NodeId n) {
  if (tracing()) say(n, "crashes");
  node(n).crash();
  int64_t ms = 50 + random.below(2 * profile.down_ms);
  later(ms, [this, n] { restart(n); });
}

void World::later(int64_t ms, std::function<void()> what) {
  heap_.push_back({now_ + ms, ++order_, kNoNode, 0, std::move(what)});
  std::push_heap(heap_.begin(), heap_.end(), Later());
}

void World::restart(NodeId n) {
  if (node(n).up || gone_[n] || !node(n).disk.in_fabric) return;
  if (tracing()) say(n, "starts");
  if (random.chance(100)) skew_[n] = profile.skew_ms ? random.between(-profile.skew_ms, profile.skew_ms) : 0;
  node(n).start();
}

void World::lose_slot(NodeId n) {
  if (tracing()) say(n, "loses its slot");
  node(n).lose_slot();
  restart(n);
}

/// Cuts links one by one; each heals at a time of its own, so they heal in another order.
void World::swizzle() {
  NodeId victim = any_up();
  if (victim == kNoNode) return;
  bool one_way = random.chance(200);
  for (NodeId m = 1; m < static_cast<NodeId>(nodes.size()); m++) {
    if (m == victim || random.chance(300)) continue;
    later(random.below(300), [this, victim, m, one_way] {
      if (!faults) return;
      set_cut(victim, m, true);
      if (!one_way) set_cut(m, victim, true);
    });
    later(300 + random.below(2 * profile.cut_ms), [this, victim, m] {
      set_cut(victim, m, false);
      set_cut(m, victim, false);
    });
  }
  if (tracing()) say(victim, "is cut off");
}

void World::heal() {
  if (tracing()) say(kNoNode, "all faults end");
  faults = false;
  for (auto &row : cut_) std::fill(std::begin(row), std::end(row), false);
  for (NodeId n = 1; n < static_cast<NodeId>(nodes.size()); n++)
    if (member(n)) restart(n);
}

/// The registrar gives the number, and the fabric's tables. Others hear of the new node by the stream, and owe it theirs.
void World::join() {
  NodeId asks = rules.one_registrar() ? 1 : static_cast<NodeId>(random.between(1, profile.cores));
  if (!node(asks).up || joined_ == profile.spare) return;
  later(delay(asks, asks), [this, asks] {
    Node &giver = node(asks);
    NodeId n = 1;
    while (n < kNodes && giver.disk.nodes[n].known) n++;
    if (!giver.up || n >= static_cast<NodeId>(nodes.size())) return;
    if (node(n).disk.in_fabric) return report("split", "two nodes were given number " + std::to_string(n));
    joined_++;
    admit(giver, n);
  });
}

void World::admit(Node &giver, NodeId n) {
  Node &joins = node(n);
  if (tracing()) say(n, "joins");
  Version version = giver.stamp();
  giver.disk.nodes[n] = {true, false, false, 1, version};
  joins.disk.in_fabric = true;
  joins.disk.nodes = giver.disk.nodes;
  joins.disk.clients = giver.disk.clients;
  joins.disk.holders = giver.disk.holders;
  joins.disk.wishes = giver.disk.wishes;
  joins.observe(giver.high_water);
  giver.log({node_fact(n, false, 1, version, false)}, now());
  giver.follow_nodes();
  for (Kind k : {Kind::client, Kind::holder, Kind::wish, Kind::node}) giver.owe(n, -1, k);
  joins.start();
}

/// A node without homes is taken out of the fabric while others still send to it. What it had not shipped is refused.
void World::remove(NodeId n) {
  Node &registrar = node(1);
  if (n == 1 || !registrar.up || node(n).disk.nodes[n].core) return;
  for (int c = 0; c < profile.clients; c++)
    for (auto &other : nodes)
      if (other && other->disk.clients[c].version != 0 && (other->disk.clients[c].home == n || other->moving_to[c] == n)) return;
  if (tracing()) say(n, "is removed");
  Version version = registrar.stamp(registrar.disk.nodes[n].version);
  registrar.disk.nodes[n].removed = true;
  registrar.disk.nodes[n].version = version;
  registrar.log({node_fact(n, false, 1, version, true)}, now());
  registrar.follow_nodes();
  registrar.forget_node(n);
  gone_[n] = true;
  if (random.chance(500)) node(n).crash();
}

}  // namespace sim
