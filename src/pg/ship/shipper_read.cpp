// From the slot to the peers' queues: a run of messages is decoded, routed under a fresh snapshot and handed to the peers.
// A large transaction comes in many runs, and other peers' answers are taken between them.
#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/commit_wait.hpp"
#include "pg/ship/region.hpp"
#include "pg/ship/routes.hpp"
#include "pg/ship/shipper.hpp"
#include "pg/ship/values.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

constexpr size_t kReadBytes = 1 << 20;
// What a peer that answers may have waiting: twice what is under way at most, and what it has not flushed yet, so that it
// never runs dry.
constexpr size_t kPeerBytes = 20 << 20;
// While nobody waits for them, commits are read together: routing and sending cost more than the rows.
constexpr int64 kGatherUs = 4000;
// What is worth a second connection to each peer: messages of a large transaction, and WAL in all.
constexpr size_t kMuchBytes = 16 << 20, kMuchWalBytes = 256 << 20;

}  // namespace

/// Until the next read, if the last one was a moment ago and not much has come since. A peer that is about to run
/// dry gets the next at once; while one has enough to do, what it gets next gathers. What goes to nobody can wait.
int64 Shipper::gather_us() const {
  if (!slot_.messages().empty() || slot_.unread_bytes() > kReadBytes || commits_wait()) return 0;
  auto works = [](auto &entry) { return entry.second->working(); };
  if (sent_something_ && std::none_of(peers_.begin(), peers_.end(), works)) return 0;
  return std::max<int64>(0, last_read_us_ + kGatherUs - bridge::steady_us());
}

bool Shipper::more_to_read() const { return !slot_.messages().empty() || slot_.more(); }

/// A peer that answers has as much to do as it may: WAL waits on disk rather than its rows in memory. A peer that is away
/// stops nobody; relieve() turns what it holds back into debt.
bool Shipper::pressed() const {
  size_t enough = std::min(kPeerBytes, static_cast<size_t>(bridge::guc::peer_queue_mb) << 20);
  return std::any_of(peers_.begin(), peers_.end(),
                     [&](auto &entry) { return entry.second->ready() && entry.second->stream_bytes() > enough; });
}

/// The next messages, about kReadBytes of them.
std::string Shipper::next_run() {
  if (slot_.messages().empty()) {
    last_read_us_ = bridge::steady_us();
    bridge::WorkerTransaction tx;  // within one, each decoded transaction is but a subtransaction
    slot_.read(kReadBytes);
    tx.commit();
  }
  return slot_.messages().pop_run(kReadBytes);
}

void Shipper::read() {
  if (!more_to_read() || pressed() || gather_us() > 0) return;
  std::string run = next_run();
  bool much = slot_.messages().bytes_on_disk() > kMuchBytes || slot_.unread_bytes() > kMuchWalBytes;
  for (auto &[node, peer] : peers_) peer->expect(much);
  if (!run.empty()) {
    busy_ = true;
    // Known as decoded before anybody reads the holders: whoever announces itself later waits for these.
    publish_decoded(begun_transactions(run));
    bridge::WorkerTransaction tx;
    wait_decoded_visible();
    Decoded decoded;
    for_each_message(run, [&](std::string_view message) { decoder_.take(message, decoded); });
    for (const BeginMessage &begun : decoded.begun) {
      progress_.open(begun.commit_lsn);
      if (auto demand = demand_of(begun.xid)) durability_.watch(begun.commit_lsn, begun.xid, *demand);
    }
    bool all = !durability_.idle();  // a commit that waits is told by its own rows
    Decoder::encode(decoded, all);
    std::string().swap(run);  // a large value is here once, not twice
    route(decoded);
    tx.commit();
    for (Lsn transaction : decoded.ended) {
      progress_.settle(transaction);
      durability_.complete(transaction);
    }
  }
  if (!slot_.messages().empty()) return;
  pg_atomic_write_u64(&bridge::shared()->decoded_lsn, slot_.read_to());
  progress_.read_to(slot_.read_to());
  answer_unseen(slot_.read_to());
}

/// Rows of users' tables and their tombstones; what the fabric writes for itself is no part of a user's promise.
bool Shipper::counts_for_durability(const DecodedChange &change) const {
  if (durability_.idle() || !durability_.watches(change.transaction)) return false;
  return !change.table->name.starts_with("vectorshard.") || (change.table->name == "vectorshard.tombstone" && !change.client.empty());
}

void Shipper::route(Decoded &decoded) {
  sent_something_ = false;
  std::unordered_map<ClientName, std::vector<Target>> targets;
  std::vector<std::vector<Target> *> where;  // of each change
  std::set<ClientName> clients;
  for (const DecodedChange &c : decoded.changes) {
    auto [it, first] = targets.try_emplace(c.client);
    where.push_back(&it->second);
    if (first && !c.client.empty()) clients.insert(c.client);
  }
  {
    bridge::FreshSnapshot fresh;
    for (const auto &[client, route] : read_routes(clients)) targets[client] = router_.targets(route);
  }
  if (auto all = targets.find(""); all != targets.end()) all->second = router_.targets_of_all();
  std::vector<Debt> debts;
  for (size_t i = 0; i < decoded.changes.size(); i++) {
    DecodedChange &change = decoded.changes[i];
    const std::vector<Target> &to = *where[i];
    // A copy under way concerns its home alone, which hears of it directly (copy_announce). To all others it becomes
    // known when it is live; what they write until then, the home forwards.
    if (change.copy_under_way) continue;
    bool counts = counts_for_durability(change);
    if (counts) durability_.routed(change.transaction, change.client, to);
    Filled there = change.oversized_bytes > 0 || change.missing.empty() ? Filled::filled : fill_from_row(change);
    if (change.oversized_bytes > 0)  // owed, which says so, until the row is gone or smaller
      owe_instead(change, too_large_to_travel(change.table->name, change.oversized_bytes), to, debts);
    else if (there == Filled::altered)
      owe_instead(change, change.table->name + " was altered while its large values were not read yet", to, debts);
    else if (there == Filled::filled)
      send(change, to, counts, debts);
    else if (counts)  // deleted, or gone to the home since: nothing is to be sent
      for (const Target &t : to) durability_.flushed(change.transaction, change.client, t.peer, 1);
  }
  add_debts(debts);
}

/// A change that cannot be sent as it is: its client, or reference table, is owed.
void Shipper::owe_instead(const DecodedChange &change, const std::string &why, const std::vector<Target> &targets,
                          std::vector<Debt> &debts) {
  std::string table = change.client.empty() ? change.table->name : "";
  for (const Target &target : targets) {
    debts.push_back({target.peer, change.client, table, why});
    durability_.lost(change.transaction, change.client, target.peer);
  }
}

void Shipper::send(const DecodedChange &change, const std::vector<Target> &targets, bool watched,
                   std::vector<Debt> &debts) {
  for (const Target &target : targets) {
    if (target.peer == kNoNode) {
      debts.push_back({kNoNode, change.client, "", ""});
      continue;
    }
    Change piece{change.table, change.encoded, change.version, change.client, target.as_home, target.shipped_to,
                 change.transaction, change.commit_time, watched};
    progress_.hold(change.transaction);
    peers_.at(target.peer)->add(piece);
    sent_something_ = true;
  }
}

}  // namespace vectorshard::ship
