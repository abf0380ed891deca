// The look at the end, when nothing is under way any more: what was promised, compared with what the nodes hold.
#include <algorithm>
#include <set>

#include "core/base/version.hpp"
#include "world.hpp"

namespace sim {

namespace {

std::string place_of(int client, int key) { return client_name(client) + "." + std::to_string(key); }
std::string text(Version v) { return std::to_string(v) + " of node " + std::to_string(version_node(v)); }

}  // namespace

Verdict World::check() {
  for (int c = 0; c < profile.clients; c++) {
    Verdict v = check_client(c);
    if (v.bad()) return v;
  }
  return {};
}

/// Home, residency, and then each key.
Verdict World::check_client(int c) {
  std::vector<Node *> holders;
  ClientRow best;
  for (auto &n : nodes) {
    if (!n || !member(n->self())) continue;
    const Disk &d = n->disk;
    bool rows = std::any_of(d.cells[c].begin(), d.cells[c].end(), [](const Cell &cell) { return cell.row.version != 0; });
    if (rows && !d.resident[c].here)
      return {"residency", "node " + std::to_string(n->self()) + " has rows of " + client_name(c) + " and is not resident"};
    if (d.resident[c].here && d.holders[c][n->self()].state != HolderState::live)
      return {"residency", "node " + std::to_string(n->self()) + " holds " + client_name(c) + " and does not say so"};
    if (d.resident[c].here) holders.push_back(n.get());
    if (d.clients[c].version != 0 && apply::Rank{d.clients[c].epoch, d.clients[c].version} > apply::Rank{best.epoch, best.version}) best = d.clients[c];
  }
  if (best.version == 0) return {};
  for (auto &n : nodes)
    if (n && member(n->self()) && n->disk.clients[c].home != best.home)
      return {"diverged", "node " + std::to_string(n->self()) + " takes " + std::to_string(n->disk.clients[c].home) + " for the home of " +
                              client_name(c) + ", which is " + std::to_string(best.home)};
  if (std::none_of(holders.begin(), holders.end(), [&](Node *n) { return n->self() == best.home; })) {
    bool any = std::any_of(written.begin(), written.end(), [&](const Written &w) { return w.client == c && !excused(w); });
    if (any || !holders.empty()) return {"home_empty", "the home of " + client_name(c) + ", node " + std::to_string(best.home) + ", holds nothing"};
    return {};
  }
  for (int k = 0; k < profile.keys; k++) {
    Verdict v = check_key(c, k, holders);
    if (v.bad()) return v;
  }
  return {};
}

Verdict World::check_key(int c, int k, const std::vector<Node *> &holders) {
  std::set<Version> set_aside;
  for (auto &n : nodes)
    if (n)
      for (const Fact &f : n->disk.conflicts)
        if (f.client == c && f.key == k) set_aside.insert(f.version);
  // Rows older than any tombstone that is kept are recorded where they were refused, for somebody to decide.
  if (!set_aside.empty()) return {};
  const AppRow &row = holders.front()->disk.cells[c][k].row;
  for (Node *n : holders)
    if (!(n->disk.cells[c][k].row == row))
      return {"diverged", place_of(c, k) + ": node " + std::to_string(holders.front()->self()) + " has version " + text(row.version) + ", node " +
                              std::to_string(n->self()) + " has " + text(n->disk.cells[c][k].row.version)};
  // What is known to be gone: the newest delete that anybody was told of, or that is remembered.
  Version deleted = 0;
  for (Node *n : holders) deleted = std::max(deleted, n->disk.cells[c][k].tombstone);
  const Written *source = nullptr;
  for (const Written &w : written) {
    if (w.client != c || w.key != k) continue;
    if (w.deleted && !excused(w)) deleted = std::max(deleted, w.version);
    if (!w.deleted && w.version == row.version) source = &w;
  }
  if (row.version != 0 && deleted > row.version) return {"lost", place_of(c, k) + ": a row that was deleted is back"};
  if (row.version != 0 && (!source || source->row.a != row.a || source->row.b != row.b || source->row.big != row.big))
    return {"diverged", place_of(c, k) + ": version " + text(row.version) + " has values that nobody wrote with it"};
  for (const Written &w : written)
    if (w.client == c && w.key == k && !excused(w) && !w.deleted && w.version > std::max(row.version, deleted))
      return {"lost", place_of(c, k) + ": version " + text(w.version) + " was acknowledged and is nowhere"};
  if (source && source->idle) {
    for (const Written &w : written)
      if (w.client == c && w.key == k && !w.deleted && !w.idle && w.version < row.version && w.row.a > row.a && w.row.b != row.b)
        return {"lost", place_of(c, k) + ": an UPDATE that changed nothing beat " + text(w.version)};
  }
  return check_counter(c, k, row);
}

/// The counter of the present life is the sum of what was added in it.
Verdict World::check_counter(int c, int k, const AppRow &row) {
  if (row.version == 0) return {};
  int64_t sum = 0;
  for (const Added &a : added) {
    if (a.client != c || a.key != k || a.birth != row.n.birth) continue;
    if (gone_[a.node]) return {};
    sum += a.n;
  }
  auto value = static_cast<int64_t>(apply::value(row.n));
  if (value == sum) return {};
  return {"counter", place_of(c, k) + ": the counter says " + std::to_string(value) + ", added were " + std::to_string(sum)};
}

}  // namespace sim
