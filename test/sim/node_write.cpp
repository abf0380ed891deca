// Backends: what the row trigger and the fence do for local statements, transactions that stay open, and UPDATEs that are
// forwarded to the home.
#include <algorithm>

#include "node.hpp"
#include "world.hpp"

namespace sim {

namespace {

Fact row_fact(int client, int key, const AppRow &row, bool missing_big = false) {
  Fact f;
  f.kind = Kind::app;
  f.client = static_cast<uint8_t>(client);
  f.key = static_cast<uint8_t>(key);
  f.flag = missing_big;
  f.version = row.version;
  f.row = row;
  return f;
}

Fact tombstone_fact(int client, int key, Version version) {
  Fact f;
  f.kind = Kind::tombstone;
  f.client = static_cast<uint8_t>(client);
  f.key = static_cast<uint8_t>(key);
  f.version = version;
  return f;
}

}  // namespace

bool Node::locked(int client, int key) const {
  for (const OpenTxn &t : open)
    for (const Fact &f : t.changes)
      if (of_client(f.kind) && f.client == client && f.key == key) return true;
  return false;
}

bool Node::fence(int client) const {
  const Resident &r = disk.resident[client];
  return apply::may_write(r.here, r.leaving, false) == apply::Write::go;
}

/// Decides on one statement for (client, key) and stamps what it would write. Nothing is visible yet.
void Node::plan_write(int client, int key, std::vector<Fact> &changes) {
  Random &random = world_.random;
  const Cell &cell = disk.cells[client][key];
  auto number = world_.next_number();
  if (cell.row.version == 0) {
    AppRow row;
    row.version = row.n.birth = stamp();
    row.a = row.b = row.big = number;
    if (!rules_.died_meanwhile(row.version, cell.tombstone)) changes.push_back(row_fact(client, key, row));
    return;
  }
  if (random.chance(world_.profile.idle_update)) {
    AppRow row = cell.row;
    if (!rules_.idle_update_keeps_version()) row.version = stamp(row.version);
    changes.push_back(row_fact(client, key, row, true));
    return;
  }
  if (random.chance(world_.profile.delete_share)) {
    changes.push_back(tombstone_fact(client, key, stamp(cell.row.version)));
    return;
  }
  AppRow row = cell.row;
  bool toast = false;
  if (random.chance(world_.profile.counter_share)) {
    int64_t n = random.between(-3, 5);
    apply::Counter now = apply::plus(row.n, n == 0 ? 1 : n).value();
    row.n = apply::grown(row.n, now, rules_.entry(self(), disk.incarnation, disk.resident[client].generation)).value();
    if (random.chance(500)) row.version = stamp(row.version);  // with or without a change of another column
  } else {
    row.version = stamp(row.version);
    switch (random.below(3)) {
      case 0: row.a = number; break;
      case 1: row.b = number; break;
      default: row.big = number; toast = true;
    }
  }
  changes.push_back(row_fact(client, key, row, !toast));
}

/// Makes one committed change visible in the heap, and notes it as acknowledged.
void Node::perform(const Fact &f) {
  Cell &cell = disk.cells[f.client][f.key];
  Written w{f.client, f.key, f.version, self(), f.kind == Kind::tombstone, f.row, world_.now(), false};
  if (f.kind == Kind::tombstone) {
    if (rules_.delete_leaves_tombstone()) {
      cell.tombstone = std::max(cell.tombstone, f.version);
      cell.deleted_at = world_.now();
    }
    cell.row = {};
  } else {
    AppRow before = cell.row;
    auto change = static_cast<int64_t>(apply::value(f.row.n) - (before.version ? apply::value(before.n) : 0));
    if (change != 0) world_.added.push_back({f.client, f.key, f.row.n.birth, change, self(), world_.now()});
    cell.row = f.row;
    if (before.version == f.version) return;
    w.idle = before.version != 0 && before.a == f.row.a && before.b == f.row.b && before.big == f.row.big && before.n == f.row.n;
  }
  world_.written.push_back(w);
  if (world_.tracing())
    world_.say(self(), std::string(w.deleted ? "deletes " : "writes ") + client_name(f.client) + "." + std::to_string(f.key) +
                           " version " + std::to_string(f.version));
}

void Node::commit(std::vector<Fact> changes) {
  if (changes.empty()) return;
  for (const Fact &f : changes)
    if (of_client(f.kind)) perform(f);
  log(std::move(changes), world_.now());
}

void Node::write(int client, int key) {
  std::vector<Fact> changes;
  if (!disk.resident[client].here) {
    if (disk.clients[client].version == 0 && disk.nodes[self()].core) {
      if (!born_here(client, changes)) return;
    } else {
      wanted_until[client] = world_.now() + 2000;
      if (!jobs[client]) bring(client);
      return;
    }
  }
  if (!fence(client)) return;
  if (locked(client, key)) {
    const OpenTxn &holder = *std::find_if(open.begin(), open.end(), [&](const OpenTxn &t) {
      return std::any_of(t.changes.begin(), t.changes.end(), [&](const Fact &f) { return f.client == client && f.key == key; });
    });
    if (holder.changes.front().kind == Kind::tombstone) insert_after(holder.id, client, key);
    return;
  }
  bool born = !changes.empty();
  plan_write(client, key, changes);
  if (changes.empty()) return;
  if (born || !world_.random.chance(150)) return commit(std::move(changes));
  // It stays open for a while, and may be decoded before others can see it.
  OpenTxn t{++ids_, false, std::move(changes), {}};
  uint64_t id = t.id;
  open.push_back(std::move(t));
  world_.after(self(), 1 + world_.random.below(world_.profile.open_ms), [this, id] { end_open(id, !world_.random.chance(150)); });
}

/// Ends an open transaction: its rows become visible, and whoever waited for its locks goes on.
void Node::end_open(uint64_t id, bool commits) {
  auto it = std::find_if(open.begin(), open.end(), [&](const OpenTxn &t) { return t.id == id; });
  if (it == open.end()) return;
  auto finish = [this, id](bool visible) {
    auto t = std::find_if(open.begin(), open.end(), [&](const OpenTxn &x) { return x.id == id; });
    if (t == open.end()) return;
    OpenTxn ended = std::move(*t);
    open.erase(t);
    if (visible)
      for (const Fact &f : ended.changes)
        if (of_client(f.kind)) perform(f);
    for (auto &next : ended.waiting) next();
  };
  if (!commits) return finish(false);
  int64_t later = world_.profile.visible_ms > 0 ? world_.random.below(world_.profile.visible_ms) : 0;
  // A DELETE leaves its tombstones when its rows are gone: later than an INSERT that already waits for them was stamped.
  for (Fact &f : it->changes)
    if (f.kind == Kind::tombstone) f.version = stamp(f.version);
  it->logged = true;
  log(it->changes, world_.now() + later + (later > 0));  // decoded, it is waited for until it is visible
  if (later == 0) return finish(true);
  world_.after(self(), later, [finish] { finish(true); });
}

/// An INSERT that was stamped, and now waits for an open DELETE of its key.
void Node::insert_after(uint64_t waits_for, int client, int key) {
  AppRow row;
  row.version = row.n.birth = stamp();
  row.a = row.b = row.big = world_.next_number();
  for (OpenTxn &t : open) {
    if (t.id != waits_for) continue;
    t.waiting.push_back([this, client, key, row] {
      const Cell &cell = disk.cells[client][key];
      if (cell.row.version != 0 || !fence(client) || locked(client, key)) return;
      if (!rules_.died_meanwhile(row.version, cell.tombstone)) commit({row_fact(client, key, row)});
    });
  }
}

/// A transaction over several clients; at its receivers it arrives in pieces.
void Node::write_many() {
  std::vector<Fact> changes;
  for (int c = 0; c < world_.profile.clients; c++) {
    int key = static_cast<int>(world_.random.below(world_.profile.keys));
    if (disk.resident[c].here && fence(c) && !locked(c, key)) plan_write(c, key, changes);
  }
  commit(std::move(changes));
}

/// REPEATABLE READ: its snapshot is from now, it writes later. The fence asks about residency at the time of the write.
void Node::write_slowly(int client, int key) {
  if (!fence(client)) return;
  int64_t ms = world_.random.between(50, 3000);
  world_.after(self(), ms, [this, client, key] {
    if (rules_.fence_sees_now() ? !fence(client) : disk.resident[client].leaving) return;
    if (locked(client, key)) return;
    std::vector<Fact> changes;
    plan_write(client, key, changes);
    commit(std::move(changes));
  });
}

/// UPDATE or DELETE of a client that is elsewhere: the home reads and writes, and this node hears that it committed.
void Node::write_forwarded(int client, int key) {
  if (disk.resident[client].here || disk.clients[client].version == 0) return;
  NodeId home = disk.clients[client].home;
  if (home == self()) return;
  std::optional<AppRow> read;
  if (!rules_.forwards_reading_too()) {
    // Planted: the row is read at whatever holder is near.
    for (const ship::HolderRef &h : receiving_holders(client, home)) {
      const Node &near = world_.node(h.node);
      if (near.up && near.disk.resident[client].here) read = near.disk.cells[client][key].row;
    }
  }
  world_.message(self(), home, [this, home, client, key, read] {
    Node &there = world_.node(home);
    if (!there.disk.resident[client].here || !there.is_home(client) || !there.fence(client) || there.locked(client, key)) return;
    const AppRow here = there.disk.cells[client][key].row;
    if (here.version == 0) return;
    AppRow row = read && read->version ? *read : here;
    row.version = there.stamp(here.version);
    row.a = world_.next_number();
    if (read && read->version != here.version)
      world_.report("lost", "an UPDATE read version " + std::to_string(read->version) + " and wrote over " +
                                std::to_string(here.version));
    there.commit({row_fact(client, key, row, true)});
  });
}

/// On a core node: a client that nobody knows is born in the writer's transaction.
bool Node::born_here(int client, std::vector<Fact> &changes) {
  if (disk.clients[client].version != 0) return false;
  Fact f;
  f.kind = Kind::client;
  f.client = static_cast<uint8_t>(client);
  f.node = static_cast<uint8_t>(self());
  f.number = 1;
  f.version = stamp();
  disk.clients[client] = {self(), 1, f.version};
  changes.push_back(f);
  disk.resident[client] = {true, false, true, f.version};
  resident_since[client] = world_.now();
  set_own_holder(client, HolderState::live, f.version, changes);
  if (world_.tracing()) world_.say(self(), "gives birth to " + client_name(client));
  return true;
}

}  // namespace sim
