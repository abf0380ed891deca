// Apply: a batch becomes rows, in the order of src/pg/apply/merge.cpp: fabric tables, rows, tombstones, then what the home owes.
#include <algorithm>

#include "core/base/version.hpp"
#include "node.hpp"
#include "world.hpp"

namespace sim {

using ship::RefusalReason;

/// One batch at one node. If one of its keys is locked by an open local transaction it waits for that one's end, as an
/// upsert does; what it saw of tombstones before is then out of date.
class ApplyRun : public std::enable_shared_from_this<ApplyRun> {
 public:
  ApplyRun(Node &node, ship::Batch batch, Answered answered)
      : n_(node), rules_(node.rules_), batch_(std::move(batch)), answered_(std::move(answered)) {}

  void go() {
    for (const ship::Row &row : batch_.rows) facts_.push_back(unpack(*row.values[0]));
    for (const Fact &f : facts_) saw_ended_.push_back(f.kind == Kind::app && rules_.ends(cell(f).tombstone, f.version));
    go_on();
  }

 private:
  Cell &cell(const Fact &f) { return n_.disk.cells[f.client][f.key]; }

  void go_on() {
    for (const Fact &f : facts_) {
      if (!of_client(f.kind) || (f.kind == Kind::tombstone && !rules_.rechecks_tombstones())) continue;
      for (OpenTxn &t : n_.open)
        for (const Fact &written : t.changes)
          if (of_client(written.kind) && written.client == f.client && written.key == f.key) {
            t.waiting.push_back([self = shared_from_this()] { self->go_on(); });
            return;
          }
    }
    run();
  }

  void run() {
    n_.observe(batch_.clock);
    for (const Fact &f : facts_) n_.observe(f.version);
    for (const Fact &f : facts_)
      if (!of_client(f.kind)) merge_fabric(f);
    if (batch_.kind == ship::BatchKind::sync && rules_.sync_removes_absent()) remove_absent();
    for (Kind kind : {Kind::app, Kind::tombstone})
      for (size_t i = 0; i < facts_.size(); i++)
        if (facts_[i].kind == kind && taken(batch_.rows[i].client)) merge_client_row(i);
    owe_as_home();
    if (n_.world_.tracing()) trace();
    reply_.clock = std::max(n_.high_water, version_at_unix_ms(n_.wall_ms(), n_.self()));
    answered_(reply_);
  }

  /// The decision about a client of the batch; made once, as late as its first row.
  bool taken(uint32_t index) {
    auto [it, first] = decided_.try_emplace(index, false);
    if (!first) return it->second;
    int client = client_number(batch_.clients[index].name);
    const Resident &r = n_.disk.resident[client];
    const HolderStatement &own = n_.disk.holders[client][n_.self()];
    const ClientRow &row = n_.disk.clients[client];
    apply::Receipt what = rules_.receipt({r.here, r.leaving, false, own.state, row.home}, n_.self());
    if (what == apply::Receipt::become_resident) become_resident(client);
    it->second = what == apply::Receipt::take || what == apply::Receipt::become_resident;
    if (!it->second) {
      RefusalReason reason = what == apply::Receipt::gone ? RefusalReason::gone : RefusalReason::copying;
      reply_.refusals.push_back({batch_.clients[index].name, {}, reason, r.here ? r.generation : own.generation});
    }
    return it->second;
  }

  void become_resident(int client) {
    std::vector<Fact> changes;
    Generation generation = n_.stamp();
    n_.disk.resident[client] = {true, false, true, generation};
    n_.set_own_holder(client, HolderState::live, generation, changes);
    n_.log(std::move(changes), n_.world_.now());
  }

  void merge_fabric(const Fact &f) {
    Disk &d = n_.disk;
    switch (f.kind) {
      case Kind::client: n_.learn_client(f.client, {f.node, f.number, f.version}); break;
      case Kind::holder: merge_holder(f); break;
      case Kind::wish: {
        Wish &w = d.wishes[f.client][f.node][f.planner];
        if (f.version > w.version) w = {f.number, f.version};
        break;
      }
      default: {
        NodeRow &row = d.nodes[f.node];
        if (f.version <= row.version) return;
        bool fresh = !row.known;
        row = {true, f.flag, f.core, f.number, f.version};
        if (fresh && f.node != d.self && !f.flag)
          for (Kind k : {Kind::client, Kind::holder, Kind::wish, Kind::node}) n_.owe(f.node, -1, k);
        n_.follow_nodes();
        if (f.flag) n_.forget_node(f.node);
      }
    }
  }

  void merge_holder(const Fact &f) {
    HolderStatement &known = n_.disk.holders[f.client][f.node];
    HolderStatement heard{f.state, f.number, f.version};
    if (f.version <= known.version) return;
    if (f.node == n_.self() && !rules_.planner_writes_holders()) return;  // our own, from before: what is here is newer
    if (rules_.owed_when_heard_of(n_.is_home(f.client), f.node == n_.self(), heard, known.generation)) n_.owe(f.node, f.client);
    known = heard;
  }

  void merge_client_row(size_t index) {
    const Fact &f = facts_[index];
    bool ended_before = saw_ended_[index];
    if (f.kind == Kind::tombstone) {
      Version before = cell(f).tombstone;
      n_.merge_tombstone(f.client, f.key, f.version);
      count(cell(f).tombstone != before);
      return;
    }
    Cell &c = cell(f);
    AppRow in = f.row;
    if (!rules_.sender_fills() && f.flag && c.row.version != 0) in.big = c.row.big;
    if (rules_.rechecks_tombstones() ? rules_.ends(c.tombstone, in.version) : ended_before) return count(false);
    Version horizon = apply::horizon_at(n_.wall_ms(), n_.world_.profile.retention_ms);
    const ClientRow &client = n_.disk.clients[f.client];
    bool from_home = client.version != 0 && client.home == batch_.from;
    bool any_age = rules_.takes_any_age(batch_.kind == ship::BatchKind::copy, batch_.kind == ship::BatchKind::sync, from_home,
                                        batch_.clock, horizon);
    if (!any_age && rules_.too_old(in.version, c.row.version, horizon)) {
      n_.disk.conflicts.push_back(f);
      reply_.dead_letters++;
      return;
    }
    if (c.tombstone != 0) in.n = rules_.ended(in.n, c.tombstone);
    AppRow before = c.row;
    bool wins = before.version == 0 || rules_.beats(in.version, before.version, n_.self());
    if (wins) c.row = in;
    if (before.version != 0) c.row.n = rules_.merge_counters(c.row.n, wins ? before.n : in.n);
    count(!(c.row == before));
  }

  void trace() {
    const char *kinds[] = {"stream", "sync", "copy"};
    std::string text = std::string("takes a ") + kinds[static_cast<int>(batch_.kind)] + " from " + std::to_string(batch_.from) + ":";
    for (size_t i = 0; i < facts_.size(); i++)
      if (of_client(facts_[i].kind)) {
        const ship::BatchClient &c = batch_.clients[batch_.rows[i].client];
        text += " " + c.name + "." + std::to_string(facts_[i].key) + (facts_[i].kind == Kind::app ? "=" : " dead ") +
                std::to_string(facts_[i].version) + (c.as_home ? " as home" : "");
      }
    for (const ship::Refusal &r : reply_.refusals)
      text += " (refuses " + r.client + (r.reason == RefusalReason::gone ? ": gone)" : ": copying)");
    n_.world_.say(n_.self(), text);
  }

  void count(bool changed) { (changed ? reply_.applied : reply_.stale)++; }

  /// Planted: a sync that takes the source's word for what is not in it.
  void remove_absent() {
    for (const ship::BatchClient &client : batch_.clients) {
      int c = client_number(client.name);
      if (c < 0 || !n_.disk.resident[c].here) continue;
      for (int k = 0; k < kKeys; k++) {
        AppRow &row = n_.disk.cells[c][k].row;
        bool there = std::any_of(facts_.begin(), facts_.end(),
                                 [&](const Fact &f) { return f.kind == Kind::app && f.client == c && f.key == k; });
        if (!there && row.version < batch_.clock) row = {};
      }
    }
  }

  void owe_as_home() {
    for (auto &[index, took] : decided_) {
      const ship::BatchClient &sent = batch_.clients[index];
      int c = client_number(sent.name);
      if (!took || !sent.as_home) continue;
      for (NodeId peer : rules_.owed_after_merge(n_.is_home(c), batch_.kind, reply_.applied > 0, sent,
                                                 n_.receiving_holders(c, batch_.from)))
        n_.owe(peer, c);
    }
  }

  Node &n_;
  const Rules &rules_;
  ship::Batch batch_;
  Answered answered_;
  std::vector<Fact> facts_;
  std::vector<bool> saw_ended_;
  std::map<uint32_t, bool> decided_;
  ship::Reply reply_;
};

void Node::apply(const ship::Batch &batch, const Answered &answered) {
  const NodeRow &sender = disk.nodes[batch.from];
  if (!rules_.believed(sender.known, sender.removed, sender.incarnation, batch.from_incarnation)) return answered(std::nullopt);
  std::make_shared<ApplyRun>(*this, batch, answered)->go();
}

/// The `client` row of the larger (epoch, version) counts. A newer home is owed, or owes.
bool Node::learn_client(int client, const ClientRow &row) {
  ClientRow &known = disk.clients[client];
  if (known.version != 0 && !rules_.client_beats({row.epoch, row.version}, {known.epoch, known.version})) return false;
  bool moved = rules_.home_moves({row.home, row.epoch, row.version}, {known.home, known.epoch, known.version});
  known = row;
  moving_to[client] = kNoNode;
  if (world_.tracing())
    world_.say(self(), "learns that the home of " + client_name(client) + " is " + std::to_string(row.home) + ", epoch " + std::to_string(row.epoch));
  if (moved && disk.resident[client].here) owe_both_ways(client);
  return true;
}

void Node::owe_both_ways(int client) {
  std::vector<NodeId> holders;
  for (const ship::HolderRef &h : receiving_holders(client, kNoNode)) holders.push_back(h.node);
  for (NodeId peer : rules_.owed_after_move(self(), disk.clients[client].home, holders)) owe(peer, client);
}

/// A node was removed: what it held is nobody's, and what it wrote may have reached one holder and not another.
void Node::forget_node(NodeId node) {
  for (int c = 0; c < kClients; c++) {
    if (disk.resident[c].here && disk.clients[c].version != 0 && receives(disk.holders[c][node].state)) owe_both_ways(c);
    disk.holders[c][node] = {};
  }
}

void Node::learn_holder(int client, NodeId node, const HolderStatement &said) {
  HolderStatement &known = disk.holders[client][node];
  if (!rules_.replaces(said, known)) return;
  known = {said.state, said.generation, std::max(known.version, said.version)};
}

void Node::merge_tombstone(int client, int key, Version version) {
  Cell &c = disk.cells[client][key];
  if (rules_.delete_leaves_tombstone() && version > c.tombstone) {
    c.tombstone = version;
    c.deleted_at = world_.now();
  }
  if (c.row.version == 0) return;
  if (rules_.ends(version, c.row.version))
    c.row = {};
  else
    c.row.n = rules_.ended(c.row.n, version);
}

void Node::collect_tombstones() {
  Version horizon = apply::horizon_at(wall_ms(), world_.profile.retention_ms);
  for (int client = 0; client < kClients; client++) {
    bool owed = std::any_of(disk.debts.begin(), disk.debts.end(), [&](const auto &d) { return std::get<1>(d.first) == client; });
    for (Cell &c : disk.cells[client]) {
      bool long_enough = c.deleted_at < world_.now() - world_.profile.retention_ms;
      if (c.tombstone != 0 && rules_.may_collect(long_enough, c.tombstone, horizon, owed)) c.tombstone = 0;
    }
  }
}

}  // namespace sim
