// The shipper worker's round: see shipper.hpp.
#include "pg/ship/shipper.hpp"

#include "core/base/holder.hpp"
#include "core/ship/reply_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/commit_wait.hpp"
#include "pg/ship/region.hpp"
#include "pg/ship/routes.hpp"
extern "C" {
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

// Debts are looked at again this often while there are some; otherwise when somebody adds one here, and now and then for
// those that came by plain SQL.
constexpr int64 kAskingUs = 3000, kDebtsUs = 200000, kNoDebtsUs = 1000000, kPublishUs = 100000;
constexpr long kIdleMs = 500, kFlushMs = 5;
// A peer that answers may hold back this many times peer_queue_mb of WAL, because most of what it lacks is on its way.
constexpr size_t kSlowPeerTimes = 4;

size_t queue_limit_bytes() { return static_cast<size_t>(bridge::guc::peer_queue_mb) << 20; }

/// A debt that says "everything", so that a crash between making the slot and writing all debts leaves no gap.
void mark_everything() {
  bridge::WorkerTransaction tx;
  add_debt(kNoNode, "", kEverything);
  tx.commit();
}

bool everything_is_marked() {
  bridge::WorkerTransaction tx;
  bool marked;
  {
    bridge::Spi spi;
    marked = !spi.query("SELECT 1 FROM vectorshard.peer_debt WHERE peer = 0 AND client = '' AND table_name = $1",
                        {bridge::p_text(kEverything)})
                  .empty();
  }
  tx.commit();
  return marked;
}

void owe_all_that_is_marked() {
  if (!everything_is_marked()) return;
  bridge::WorkerTransaction tx;
  owe_everything();
  tx.commit();
}

}  // namespace

Shipper::~Shipper() {
  if (wait_set_) FreeWaitEventSet(wait_set_);
}

void Shipper::start() {
  pg_atomic_write_u32(&ship_shared()->gathers, 0);  // one that was killed may have left it
  slot_.open(mark_everything);
  owe_all_that_is_marked();
  progress_ = SlotProgress(slot_.confirmed());
  bridge::WorkerTransaction tx;
  (void)bridge::enrolled_tables();  // before the first change comes: filling the cache may load libraries
  tx.commit();
}

/// Nodes came or went: peers that are new are connected to, those removed are forgotten with what waited for them.
void Shipper::follow_nodes() {
  uint64 epoch = pg_atomic_read_u64(&bridge::shared()->catalog_epoch);
  if (epoch == catalog_epoch_) return;
  std::vector<PeerRow> rows;
  {
    bridge::WorkerTransaction tx;
    rows = read_peers();
    leaving_ = is_leaving();
    tx.commit();
  }
  std::vector<NodeId> active;
  for (PeerRow &row : rows) {
    active.push_back(row.node);
    if (!peers_.contains(row.node)) peers_.emplace(row.node, std::make_unique<Peer>(std::move(row)));
  }
  router_ = Router(bridge::self_node(), active);
  for (auto it = peers_.begin(); it != peers_.end();) {
    if (router_.active(it->first)) {
      ++it;
      continue;
    }
    it->second->give_up("removed");
    for (Shipment &s : it->second->take_unsent()) {
      note_debt(it->first, s.batch);
      settle_all(s.batch);
    }
    it = peers_.erase(it);
  }
  catalog_epoch_ = epoch;
  next_debts_us_ = 0;
}

void Shipper::settle_all(const SealedBatch &batch) {
  for (auto &[transaction, rows] : batch.pieces) progress_.settle(transaction, rows);
}

/// Commits that wait for rows of the batch.
void Shipper::note_answer(NodeId peer, const SealedBatch &batch, const Reply &reply) {
  if (batch.watched.empty()) return;
  std::set<ClientName> refused;
  for (const Refusal &r : reply.refusals) refused.insert(r.client);
  for (auto &[piece, rows] : batch.watched) {
    // A dead letter may be any row of the batch.
    if (reply.dead_letters > 0 || refused.contains(piece.second))
      durability_.lost(piece.first, piece.second, peer);
    else
      durability_.flushed(piece.first, piece.second, peer, rows);
  }
}

void Shipper::note_debt(NodeId peer, const SealedBatch &batch) {
  for (auto &[piece, rows] : batch.watched) durability_.lost(piece.first, piece.second, peer);
}

/// What an answer means, in the current transaction; the batch is settled once that has committed.
void Shipper::take(Peer &peer, Delivered &delivered, std::vector<Debt> &debts) {
  if (delivered.shipment.pays) return payer_.settle(peer.node(), delivered);
  const SealedBatch &batch = delivered.shipment.batch;
  if (!delivered.reply) {
    for (const ClientName &c : batch.clients) debts.push_back({peer.node(), c, "", delivered.error});
    for (const std::string &t : batch.reference_tables) debts.push_back({peer.node(), "", t, delivered.error});
    note_debt(peer.node(), batch);
  } else {
    note_answer(peer.node(), batch, *delivered.reply);
    apply::observe_peer(delivered.reply->clock);
    for (const Refusal &r : delivered.reply->refusals) {
      switch (after_refusal(r.reason, batch.as_home.contains(r.client))) {
        case AfterRefusal::owe: debts.push_back({peer.node(), r.client, r.table, ""}); break;
        case AfterRefusal::owe_home: debts.push_back({kNoNode, r.client, "", ""}); break;
        case AfterRefusal::learn_gone: learn_holder(r.client, peer.node(), r.generation, "gone", 0); break;
      }
    }
  }
  settled_.push_back(std::move(delivered.shipment.batch));
}

/// Sends and receives without touching the database; also runs while a large transaction is decoded.
void Shipper::pump_sockets() {
  bool urgent = pg_atomic_exchange_u32(&ship_shared()->flush_wanted, 0) != 0;
  for (auto &[node, peer] : peers_) {
    if (urgent) peer->flush_soon();
    bool was_ready = peer->ready();
    std::vector<Delivered> out;
    peer->pump(out);
    if (!was_ready && peer->ready()) next_debts_us_ = 0;
    for (Delivered &d : out) delivered_[node].push_back(std::move(d));
  }
}

void Shipper::pump() {
  for (auto &[node, peer] : peers_) {
    if (!peer->wants_connection()) continue;
    bridge::WorkerTransaction tx;
    peer->begin();
    tx.commit();
  }
  pump_sockets();
  if (delivered_.empty()) return;
  std::map<NodeId, std::vector<Delivered>> delivered = std::exchange(delivered_, {});
  busy_ = true;
  bool plain = true;  // nothing but taken batches: no transaction needed
  for (auto &[node, list] : delivered)
    for (const Delivered &d : list) plain = plain && d.reply && d.reply->refusals.empty() && !d.shipment.pays;
  std::vector<Debt> debts;
  if (plain) {
    for (auto &[node, list] : delivered)
      for (Delivered &d : list) take(*peers_.at(node), d, debts);
  } else {
    bridge::WorkerTransaction tx;
    for (auto &[node, list] : delivered)
      for (Delivered &d : list) take(*peers_.at(node), d, debts);
    add_debts(debts);
    tx.commit();
    next_debts_us_ = 0;
  }
  for (const SealedBatch &batch : settled_) settle_all(batch);
  settled_.clear();
}

/// Whether a peer holds back too much, in memory or in WAL. One that answers has its memory bounded by read() already.
bool Shipper::holds_back_too_much(const Peer &peer) const {
  size_t wal = peer.oldest() == 0 ? 0 : Slot::bytes_since(peer.oldest());
  if (peer.ready()) return wal > kSlowPeerTimes * queue_limit_bytes();
  return peer.stream_bytes() > queue_limit_bytes() || wal > queue_limit_bytes();
}

/// A peer that holds back too much is owed the clients concerned instead.
void Shipper::relieve() {
  for (auto &[node, peer] : peers_) {
    bool last_words = leaving_ && !peer->ready() && peer->stream_bytes() > 0;  // others will deliver them
    if (!last_words && !holds_back_too_much(*peer)) continue;
    // What is under way to a peer that does not keep up would hold the slot as well: it is sent again as debt.
    if (peer->ready()) peer->give_up("it does not keep up with what is written here");
    std::vector<Shipment> undelivered = peer->take_unsent();
    if (undelivered.empty()) continue;
    std::vector<Debt> debts;
    for (const Shipment &s : undelivered) {
      for (const ClientName &c : s.batch.clients) debts.push_back({node, c, "", ""});
      for (const std::string &t : s.batch.reference_tables) debts.push_back({node, "", t, ""});
    }
    {
      bridge::WorkerTransaction tx;
      add_debts(debts);
      tx.commit();
    }
    for (const Shipment &s : undelivered) {
      note_debt(node, s.batch);
      settle_all(s.batch);
    }
  }
}

void Shipper::pay() {
  uint64 epoch = pg_atomic_read_u64(&ship_shared()->debt_epoch);
  int64 now = bridge::steady_us();
  if (epoch == debt_epoch_ && now < next_debts_us_) return;
  debt_epoch_ = epoch;
  debts_ = payer_.assign_homes();
  if (debts_)
    for (auto &[node, peer] : peers_)
      if (peer->has_room()) payer_.pay(*peer);
  // Only now is it known whether somebody was asked, and the answer looked for soon.
  next_debts_us_ = bridge::steady_us() + (payer_.asking() ? kAskingUs : debts_ ? kDebtsUs : kNoDebtsUs);
}

void Shipper::confirm() {
  slot_.confirm(progress_.confirmable());
  pg_atomic_write_u64(&bridge::shared()->confirmed_lsn, progress_.confirmable());
}

/// This node's clock is at fault if more peers find it ahead than not: then nothing is stamped until it is right again.
void Shipper::judge_clock() {
  int ahead = 0, off = 0, near = 0;
  for (auto &[node, peer] : peers_) {
    auto ms = peer->ahead_ms();
    if (!ms) continue;
    ahead += *ms > bridge::guc::max_clock_skew_ms;
    (std::abs(*ms) > bridge::guc::max_clock_skew_ms ? off : near)++;
  }
  if (apply::wall_doubted() && (off > near || peers_.empty())) {
    // The peers find the clock that we hold on to wrong: the machine's may have been set right.
    apply::believe_wall();
    for (auto &[node, peer] : peers_) peer->forget_clock();
    return;
  }
  if (near > off) apply::keep_wall();
  uint32 refused = ahead > near ? 1 : 0;
  if (refused != pg_atomic_exchange_u32(&bridge::shared()->clock_refused, refused))
    ereport(LOG, (refused ? errmsg("vectorshard shipper: this node's clock is ahead of its peers'; nothing is stamped")
                          : errmsg("vectorshard shipper: this node's clock agrees with its peers' again")));
}

void Shipper::publish() {
  int64 now = bridge::steady_us();
  if (now < next_publish_us_) return;
  next_publish_us_ = now + kPublishUs;
  std::vector<PeerStatus> status;
  for (auto &[node, peer] : peers_) status.push_back(peer->status());
  publish_peers(status, slot_.messages().empty() ? slot_.read_to() : 0);
  judge_clock();
}

void Shipper::wait(long timeout_ms) {
  std::vector<Watched> now;
  for (auto &[node, peer] : peers_)
    peer->for_each_socket([&](int socket, int events, uint64_t connection) { now.push_back({connection, socket, events}); });
  bridge::pg_call([&] {
    if (!wait_set_ || now != watched_) {
      if (WaitEventSet *old = std::exchange(wait_set_, nullptr)) FreeWaitEventSet(old);
      WaitEventSet *set = CreateWaitEventSet(TopMemoryContext, static_cast<int>(now.size()) + 2);
      AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
      AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
      for (const Watched &w : now) AddWaitEventToSet(set, static_cast<uint32>(w.events), w.socket, nullptr, nullptr);
      wait_set_ = set;
      watched_.swap(now);
    }
    WaitEvent event;
    WaitEventSetWait(wait_set_, timeout_ms, &event, 1, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
  });
}

/// A wait that commits do not end: to wake somebody costs the one who commits more than it gains.
void Shipper::gather(int64 for_us) {
  struct Gathering {
    Gathering() { pg_atomic_write_u32(&ship_shared()->gathers, 1); }
    ~Gathering() { pg_atomic_write_u32(&ship_shared()->gathers, 0); }
  } gathering;
  wait(static_cast<long>((for_us + 999) / 1000));  // rounded down, the last millisecond would be spent awake
}

void Shipper::round() {
  busy_ = false;
  follow_nodes();
  read();
  pump();
  relieve();
  for (const Verdict &verdict : durability_.take_verdicts()) answer(verdict);
  pay();
  confirm();
  publish();
  if (busy_) return;
  if (more_to_read() && !pressed()) {
    int64 left_us = gather_us();
    if (left_us > 0) gather(left_us);
    return;
  }
  bool waiting = false;  // somebody is to be connected to, or watched for a time-out
  for (auto &[node, peer] : peers_) waiting = waiting || !peer->ready() || peer->stream_bytes() > 0;
  if (std::any_of(peers_.begin(), peers_.end(), [](auto &p) { return p.second->unflushed(); })) return wait(kFlushMs);
  if (payer_.asking()) return wait(kAskingUs / 1000);
  wait(waiting || debts_ ? static_cast<long>(kPublishUs / 1000) : kIdleMs);
}

}  // namespace vectorshard::ship
