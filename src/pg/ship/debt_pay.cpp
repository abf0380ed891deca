// Paying debts: see debt_pay.hpp.
#include "pg/ship/debt_pay.hpp"

#include "core/ship/debt_rules.hpp"
#include "core/ship/reply_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/tables.hpp"
#include "pg/ship/api.hpp"
#include "pg/ship/debt_table.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

constexpr int kScanRows = 64;
// How many ranges of how many rows a peer is asked for at once: enough to hide the way there and back, few enough that
// this node's stream does not wait for the digests.
constexpr size_t kAskRanges = 8, kRangeRows = 1000;
constexpr int64 kPauseUs = USECS_PER_SEC;
constexpr int64 kFirstWaitUs = 200000, kMostWaitUs = 30000000;

constexpr const char *kAssign = R"(
  WITH found AS (
    SELECT d.client, d.table_name, c.home FROM vectorshard.peer_debt d JOIN vectorshard.client c ON c.client = d.client
     WHERE d.peer = 0 AND d.client <> ''
  ), gone AS (
    DELETE FROM vectorshard.peer_debt d USING found f
     WHERE d.peer = 0 AND d.client = f.client AND d.table_name = f.table_name
  )
  INSERT INTO vectorshard.peer_debt AS d (peer, client, table_name)
  SELECT f.home, f.client, f.table_name FROM found f WHERE f.home <> $1
  ON CONFLICT (peer, client, table_name) DO UPDATE SET last_error = d.last_error)";
constexpr const char *kAny = "SELECT EXISTS (SELECT FROM vectorshard.peer_debt)";
// The fabric's own tables first: they say what the rows of the others are.
constexpr const char *kDue = R"(
  SELECT client, table_name, xmin::text FROM vectorshard.peer_debt
   WHERE peer = $1 ORDER BY client <> '', table_name NOT LIKE 'vectorshard.%', since LIMIT $2)";
constexpr const char *kClear =
    "DELETE FROM vectorshard.peer_debt WHERE peer = $1 AND client = $2 AND table_name = $3 AND xmin::text = $4";
constexpr const char *kFailed = R"(
  UPDATE vectorshard.peer_debt SET tries = tries + 1, last_error = $4
   WHERE peer = $1 AND client = $2 AND table_name = $3)";
constexpr const char *kStanding = R"(
  SELECT coalesce((SELECT home FROM vectorshard.client WHERE client = $1), 0),
         EXISTS (SELECT FROM vectorshard.holder WHERE client = $1 AND node = $2 AND state IN ('copying', 'live')),
         EXISTS (SELECT FROM vectorshard.node WHERE node = $2 AND state <> 'removed'))";

const char *words(RefusalReason reason) {
  switch (reason) {
    case RefusalReason::copying: return "the peer is just copying the client, or letting it go";
    case RefusalReason::gone: return "the peer does not hold the client";
    case RefusalReason::schema: return "the columns of the table differ";
    case RefusalReason::cold: return "the client lies in a store at its home";
    case RefusalReason::no_table: return "the peer does not have the table";
  }
  return "refused";
}

}  // namespace

bool DebtPayer::assign_homes() {
  asking_ = false;
  bridge::WorkerTransaction tx;
  bool any;
  {
    bridge::Spi spi;
    spi.execute(kAssign, {bridge::p_int4(bridge::self_node())});
    any = spi.query_kept(kAny).boolean(0, 0);
  }
  tx.commit();
  if (!any) {  // nothing to wait for, and nobody to ask
    waits_.clear();
    long_.clear();
    askers_.clear();
  }
  return any;
}

std::vector<DueDebt> DebtPayer::due(NodeId peer) const {
  std::vector<DueDebt> out;
  bridge::Spi spi;
  int64 now = bridge::steady_us();
  bridge::Rows rows =
      spi.query_kept(kDue, {bridge::p_int4(peer), bridge::p_int4(kScanRows + static_cast<int>(waits_.size()))});
  for (size_t i = 0; i < rows.size(); i++) {
    DueDebt d{rows.at(i, 0), rows.at(i, 1), rows.at(i, 2)};
    auto paused = paused_until_.find({peer, d.table});
    if (paused != paused_until_.end() && paused->second > now) continue;
    auto wait = waits_.find({peer, {d.client, d.table}});
    if (wait == waits_.end() || wait->second.until_us <= now) out.push_back(std::move(d));
  }
  return out;
}

void DebtPayer::clear(NodeId peer, const DueDebt &d) {
  bridge::Spi spi;
  spi.execute(kClear, {bridge::p_int4(peer), bridge::p_text(d.client), bridge::p_text(d.table), bridge::p_text(d.seen)});
}

void DebtPayer::put_off(NodeId peer, const DueDebt &d, const std::string &why) {
  Wait &wait = waits_[{peer, {d.client, d.table}}];
  wait.until_us = bridge::steady_us() + std::min(kMostWaitUs, kFirstWaitUs << std::min(wait.tries, 8));
  wait.tries++;
  give_up({peer, {d.client, d.table}});
  bridge::Spi spi;
  spi.execute(kFailed, {bridge::p_int4(peer), bridge::p_text(d.client), bridge::p_text(d.table), bridge::p_text(why)});
}

/// This node let the client go before the peer had everything: its home has it, and now owes it.
bool DebtPayer::hand_to_home(NodeId peer, const std::string &client) {
  bridge::Rows standing;
  {
    bridge::Spi spi;
    standing = spi.query_kept(kStanding, {bridge::p_text(client), bridge::p_int4(peer)});
  }
  DebtStanding here{false, static_cast<NodeId>(standing.int8(0, 0)), standing.boolean(0, 1), standing.boolean(0, 2)};
  Payment what = payment(here, bridge::self_node(), peer);
  if (what != Payment::hand_to_home) return what == Payment::drop;
  auto link = bridge::session_link(here.home);
  if (!link.ok()) return false;
  auto answer = link.value()->query("SELECT vectorshard.take_over_debt($1, $2::int)",
                                    {{client, false}, {std::to_string(peer), false}});
  return answer.ok();
}

Shipment DebtPayer::shipment(NodeId peer, const DueDebt &debt, Batch batch) const {
  Shipment s;
  s.pays = debt;
  if (debt.client.empty()) {
    s.batch.reference_tables.insert(debt.table);
  } else {
    bridge::Rows home = bridge::Spi().query_kept("SELECT home FROM vectorshard.client WHERE client = $1",
                                                 {bridge::p_text(debt.client)}, true);
    batch.clients[0].as_home = !home.empty() && home.int8(0, 0) == peer;
    if (batch.clients[0].as_home) s.batch.as_home.insert(debt.client);
    s.batch.clients.insert(debt.client);
  }
  s.batch.rows = batch.rows.size();
  s.batch.bytes = encode(batch);
  return s;
}

/// The payment, or nothing: there is nothing to pay (the debt is gone then) or it cannot be read now (put off, or the peer
/// is being asked what it has).
std::optional<Shipment> DebtPayer::read(NodeId peer, const DueDebt &debt) {
  bridge::lock_to_read(debt.table);
  bridge::FreshSnapshot fresh;
  Key key{peer, {debt.client, debt.table}};
  if (debt.client.empty() && !bridge::enrolled_table_by_name(debt.table)) {
    clear(peer, debt);
    return {};
  }
  if (!debt.client.empty() && !apply::residency_under(GetActiveSnapshot(), debt.client).resident) {
    if (hand_to_home(peer, debt.client))
      clear(peer, debt);
    else
      put_off(peer, debt, "the client has left this node, and its home does not answer");
    return {};
  }
  auto begun = long_.find(key);
  if (begun == long_.end()) {
    Walk walk(debt.client, debt.table);
    Batch batch = start_batch(BatchKind::sync, debt.client);
    walk.fill(batch, {});
    if (walk.finished()) {
      Shipment s = shipment(peer, debt, std::move(batch));
      s.left_out = walk.left_out();
      return s;
    }
    begun = long_.emplace(key, LongPayment{debt, Walk(debt.client, debt.table), {}, {}, {}}).first;
  }
  return read_portion(peer, begun->second);
}

/// Fills `equal`, or starts to ask the peer for it. False: not known yet, or the payment is put off.
bool DebtPayer::compare(NodeId peer, LongPayment &p) {
  RangeAsker &asker = askers_[peer];
  if (p.digests.empty()) {
    if (asker.busy()) return false;  // for another payment
    auto ranges = p.walk.next_ranges(kAskRanges, kRangeRows);
    p.ranges.assign(ranges.begin(), ranges.end());
    for (const bridge::KeyRange &r : ranges) p.digests.push_back(apply::digest_between(p.debt.client, p.walk.table(), r));
    if (ranges.empty())
      p.walk.next_table();
    else
      asker.ask(peer, p.debt.client, p.walk.table(), ranges);
    asking_ = !ranges.empty();
    return ranges.empty();
  }
  auto theirs = asker.poll();
  if (!theirs) {
    asking_ = true;
    return false;
  }
  if (!theirs->ok()) {
    put_off(peer, DueDebt(p.debt), theirs->error().message);
    return false;
  }
  for (size_t i = 0; i < p.digests.size(); i++) p.equal.push_back(p.digests[i] == theirs->value()[i]);
  p.digests.clear();
  return true;
}

/// The next portion of a long payment that the peer lacks. All before it is acknowledged when this is called.
std::optional<Shipment> DebtPayer::read_portion(NodeId peer, LongPayment &p) {
  while (!p.walk.finished()) {
    if (p.equal.empty() && !p.walk.at_tombstones()) {
      if (!compare(peer, p)) return {};
      continue;
    }
    bridge::KeyRange range = p.walk.at_tombstones() ? bridge::KeyRange{} : p.ranges.front();
    Batch batch = start_batch(BatchKind::sync, p.debt.client);
    bool done = !p.walk.at_tombstones() && p.equal.front();
    if (!done) done = p.walk.read(batch, range.upto, {});
    if (done && !p.walk.at_tombstones()) {
      p.equal.pop_front();
      p.ranges.pop_front();
      p.walk.skip_to(range.upto);
    }
    if (done && range.upto.empty()) p.walk.next_table();
    if (!batch.rows.empty()) {
      Shipment s = shipment(peer, p.debt, std::move(batch));
      s.last = false;
      return s;
    }
  }
  if (!p.walk.left_out().empty()) {
    put_off(peer, DueDebt(p.debt), std::string(p.walk.left_out()));
    return {};
  }
  clear(peer, p.debt);
  waits_.erase({peer, {p.debt.client, p.debt.table}});
  long_.erase({peer, {p.debt.client, p.debt.table}});
  return {};
}

/// Ends a long payment before it is through; its question, if one is open, with it.
void DebtPayer::give_up(const Key &key) {
  auto it = long_.find(key);
  if (it == long_.end()) return;
  if (!it->second.digests.empty()) askers_.erase(key.first);
  long_.erase(it);
}

/// Long payments of debts that are not due any more; and the connection for questions, if there are none to ask: it takes a
/// backend of the peer, with the memory that the largest rows needed.
void DebtPayer::forget(NodeId peer, const std::vector<DueDebt> &but) {
  std::vector<Key> gone;
  for (auto &[key, payment] : long_) {
    bool due = std::any_of(but.begin(), but.end(), [&key = key](const DueDebt &d) {
      return d.client == key.second.first && d.table == key.second.second;
    });
    if (key.first == peer && !due) gone.push_back(key);
  }
  for (const Key &key : gone) give_up(key);
  bool any = std::any_of(long_.begin(), long_.end(), [&](auto &entry) { return entry.first.first == peer; });
  if (!any) askers_.erase(peer);
}

void DebtPayer::pay(Peer &peer) {
  std::vector<DueDebt> debts;
  {
    bridge::WorkerTransaction tx;
    debts = due(peer.node());
    if (!debts.empty()) wait_decoded_visible();  // what was routed past the peer must be in what we read
    tx.commit();
  }
  forget(peer.node(), debts);
  for (const DueDebt &d : debts) {
    if (!peer.has_room()) break;
    if (peer.paying(d.client, d.table)) continue;
    bridge::WorkerTransaction tx;
    auto shipment = read(peer.node(), d);
    tx.commit();
    if (shipment) peer.push(std::move(*shipment));
  }
}

/// The peer does not take the rows of one table, as its columns differ or it is not there: that table waits for this peer,
/// everything else of the payment is delivered. A look now and then tells when it may go on.
void DebtPayer::pause(NodeId peer, const DueDebt &d, const Refusal &refusal, bool &refused) {
  std::string why = std::string(words(refusal.reason)) + ": " + refusal.table;
  paused_until_[{peer, refusal.table}] = bridge::steady_us() + kPauseUs;
  if (d.table.empty()) return add_debts({{peer, d.client, refusal.table, why}});
  refused = true;
  give_up({peer, {d.client, d.table}});
  bridge::Spi spi;
  spi.execute(kFailed, {bridge::p_int4(peer), bridge::p_text(d.client), bridge::p_text(d.table), bridge::p_text(why)});
}

void DebtPayer::settle(NodeId peer, const Delivered &payment) {
  const DueDebt &d = *payment.shipment.pays;
  if (!payment.reply) return put_off(peer, d, payment.error);
  bool refused = false;
  for (const Refusal &r : payment.reply->refusals) {
    switch (after_refusal(r.reason, !payment.shipment.batch.as_home.empty())) {
      case AfterRefusal::owe:
        if (r.table.empty()) return put_off(peer, d, words(r.reason));
        pause(peer, d, r, refused);
        break;
      case AfterRefusal::owe_home: add_debt(kNoNode, d.client, {}); break;
      case AfterRefusal::learn_gone: learn_holder(d.client, peer, r.generation, "gone", 0); break;
    }
  }
  if (refused) return;
  if (!d.table.empty()) paused_until_.erase({peer, d.table});
  if (!payment.shipment.last) return;
  if (!payment.shipment.left_out.empty()) return put_off(peer, d, payment.shipment.left_out);
  waits_.erase({peer, {d.client, d.table}});
  clear(peer, d);
}

}  // namespace vectorshard::ship
