// The holder worker's round: see holder.hpp.
#include "pg/place/holder.hpp"

#include "pg/apply/api.hpp"
#include "pg/bridge/at_commit.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/worker.hpp"
#include "pg/place/api.hpp"
#include "pg/place/policies.hpp"
extern "C" {
#include "access/xact.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text;
using bridge::p_text_array;

// Without anything to do the worker looks again this often: wishes that came while it was not running, wishes ending.
constexpr long kIdleMs = 1000;
// Retrying a client that failed for a reason of its own: 1, 2, 4 … seconds.
constexpr double kFirstRetryS = 1;
constexpr double kMostRetryS = 60;
// A statement for all nodes that failed, or waits for a lock.
constexpr double kStatementsRetryS = 2;

constexpr char kMissingQuery[] = R"(
  SELECT q.client, coalesce(c.home, 0), r.client IS NOT NULL, coalesce(h.state, ''), coalesce(h.generation, 0),
         coalesce(h._version, 0), coalesce(r.confirmed, false) AND NOT r.leaving, q.value,
         coalesce((SELECT max(b.bytes) FROM vectorshard.holder b WHERE b.client = q.client), 0)
    FROM (SELECT a.client, max(a.value) AS value
            FROM (SELECT w.client, w.value FROM vectorshard.wish w WHERE w.node = $1 AND w.until > now()
                  UNION ALL SELECT r.client, 'Infinity' FROM vectorshard.resident r WHERE NOT r.confirmed AND NOT r.leaving
                  UNION ALL SELECT u.client COLLATE "C", 'Infinity' FROM unnest($2::text[]) AS u(client)) a
           GROUP BY a.client) q
    LEFT JOIN vectorshard.client c ON c.client = q.client
    LEFT JOIN vectorshard.holder h ON h.client = q.client AND h.node = $1
    LEFT JOIN vectorshard.resident r ON r.client = q.client
   WHERE r.client IS NULL OR NOT r.confirmed OR q.client = ANY ($2::text[]))";

}  // namespace

double Holder::now_s() const { return bridge::steady_s(); }

bool Holder::may_try(const std::string &client) const {
  auto it = retries_.find(client);
  return it == retries_.end() || it->second.not_before_s <= now_s();
}

void Holder::try_later(const std::string &client, double after_s) { retries_[client].not_before_s = now_s() + after_s; }

/// A failure that lasts: told to the writer that waits, logged when it is new, tried again later for a wish.
void Holder::fail(const Missing &m, int sqlstate, const Error &why) {
  Retry &retry = retries_[m.client];
  if (retry.failures++ == 0)
    ereport(LOG, (errmsg("vectorshard holder: %s", why.message.c_str()),
                  why.detail.empty() ? 0 : errdetail("%s", why.detail.c_str())));
  retry.not_before_s = now_s() + std::min(kMostRetryS, kFirstRetryS * (1 << std::min(retry.failures - 1, 6)));
  if (requested_.erase(m.client)) finish_failed(RequestKind::copy, m.client, sqlstate, why);
}

/// What a crash, or a round that failed, may have left: nobody else takes a leaving mark back that this worker has set.
void Holder::take_marks_back() {
  std::vector<std::string> left;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query("SELECT r.client FROM vectorshard.resident r JOIN vectorshard.client c USING (client) "
                            "WHERE r.leaving AND (c.home <> $1 OR EXISTS (SELECT FROM vectorshard.home_move m "
                            "WHERE m.client = r.client))",
                            {p_int4(bridge::self_node())});
      for (size_t i = 0; i < rows.size(); i++) left.push_back(rows.at(i, 0));
    }
    tx.commit();
  }
  for (const auto &client : left) apply::cancel_leave(client);
  marks_left_ = false;
}

/// New definitions of tables, or statements for all nodes, may have come: they are made and run before rows are copied.
void Holder::follow_catalog() {
  uint64_t epoch = pg_atomic_read_u64(&bridge::shared()->catalog_epoch);
  bool again = statements_left_ && now_s() >= next_statements_s_;
  if (epoch == catalog_epoch_ && !again) return;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    // What makes an object comes before the tables that use it, what alters a table after it.
    statements_left_ = spi.query("SELECT vectorshard.run_statements()").boolean(0, 0);
    if (spi.query("SELECT vectorshard.realize_tables()").int8(0, 0) > 0 && statements_left_)
      statements_left_ = spi.query("SELECT vectorshard.run_statements()").boolean(0, 0);
    auto own = spi.query_kept("SELECT state = 'leaving' FROM vectorshard.node WHERE node = $1", {p_int4(bridge::self_node())});
    leaving_ = !own.empty() && own.boolean(0, 0);
  }
  tx.commit();
  orphans_ = true;
  next_statements_s_ = now_s() + kStatementsRetryS;
  catalog_epoch_ = epoch;
}

void Holder::take() {
  std::set<std::string, std::less<>> known = in_flight_;
  for (auto &[client, request] : requested_) known.insert(client);
  for (Request &r : take_requests(known)) {
    if (r.kind == RequestKind::evict) {
      asked_to_evict_.insert(r.client);
      continue;
    }
    // A new request overrides the wait of an earlier failure.
    retries_.erase(r.client);
    requested_[r.client] = r;
  }
  std::erase_if(requested_, [](auto &r) { return !still_asked(RequestKind::copy, r.first); });
}

std::vector<Missing> Holder::find_missing() {
  std::vector<std::string> asked;
  for (auto &[client, request] : requested_) asked.push_back(client);
  std::erase_if(room_for_, [&](auto &r) { return r.second < now_s(); });
  for (auto &[client, until] : room_for_)
    if (!requested_.contains(client)) asked.push_back(client);
  std::vector<Missing> out;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept(kMissingQuery, {p_int4(bridge::self_node()), p_text_array(asked)});
    for (size_t i = 0; i < rows.size(); i++) {
      Missing m{rows.at(i, 0), static_cast<NodeId>(rows.int8(i, 1)), rows.boolean(i, 2),
                requested_.contains(rows.at(i, 0)), rows.at(i, 3), rows.int8(i, 4), rows.int8(i, 5), rows.float8(i, 7), rows.int8(i, 8)};
      if (rows.boolean(i, 6)) {  // already there
        if (requested_.erase(m.client)) finish(RequestKind::copy, m.client);
        continue;
      }
      if (!in_flight_.contains(m.client) && may_try(m.client)) out.push_back(std::move(m));
    }
    refuse_banned(spi, out);
  }
  tx.commit();
  std::stable_sort(out.begin(), out.end(), [](auto &a, auto &b) { return std::pair(a.requested, a.value) > std::pair(b.requested, b.value); });
  return out;
}

/// Takes out what a policy keeps off this node, whoever wishes it; a writer that waits is told.
void Holder::refuse_banned(bridge::Spi &spi, std::vector<Missing> &missing) {
  std::vector<std::string> clients;
  for (const Missing &m : missing)
    if (m.home != bridge::self_node() && !m.resident) clients.push_back(m.client);
  Bans banned = bans_here(spi, clients);
  std::erase_if(missing, [&](const Missing &m) {
    auto ban = banned.find(m.client);
    if (ban == banned.end()) return false;
    if (m.requested) fail(m, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, ban_error(m.client, ban->second));
    return true;
  });
}

void Holder::let_go_kept(const std::string &client) {
  if (kept_.erase(client)) bridge::let_client_go(client);
}

/// Copies whose end a round that failed did not get to know.
void Holder::forget_lost_jobs() {
  for (auto &[node, port] : ports_)
    if (port->busy()) return;
  in_flight_.clear();
  reserved_.clear();
  while (!kept_.empty()) let_go_kept(std::string(*kept_.begin()));
}

/// What became of copies that ended.
void Holder::settle(std::vector<CopyEnded> &ended) {
  for (CopyEnded &e : ended) {
    const std::string &client = e.item.client;
    in_flight_.erase(client);
    reserved_.erase(client);
    let_go_kept(client);
    Missing m{client, e.item.home, false, requested_.contains(client)};
    switch (e.end) {
      case CopyEnd::live:
        retries_.erase(client);
        came(e.item);
        back_off_.succeeded(e.item.source);
        if (requested_.erase(client)) finish(RequestKind::copy, client);
        break;
      case CopyEnd::again_soon: try_later(client, kSoonS); break;
      case CopyEnd::written:
        try_later(client, kSoonS);
        retries_[client].written = true;
        break;
      case CopyEnd::failed:
        if (e.item.bytes > e.item.most_bytes) sizes_[client] = static_cast<int64_t>(e.item.bytes);
        fail(m, e.sqlstate, e.why);
        break;
      case CopyEnd::source_failed:
        if (back_off_.ready(e.item.source, now_s())) back_off_.failed(e.item.source, now_s());
        peer_errors_[e.item.source] = e.why;
        break;  // another source, or a failure, is found in the next round
    }
  }
  ended.clear();
}

bridge::Link *Holder::link(NodeId node, Error &why) {
  auto &link = links_[node];
  if (link && link->alive()) return link.get();
  link.reset();
  if (!back_off_.ready(node, now_s())) {
    why = peer_errors_[node];
    return nullptr;
  }
  bridge::WorkerTransaction tx;
  auto fresh = bridge::Link::connect(node, "vectorshard holder", kConnectMs);
  tx.commit();
  if (!fresh.ok()) {
    back_off_.failed(node, now_s());
    why = peer_errors_[node] = fresh.error();
    return nullptr;
  }
  back_off_.succeeded(node);
  link = std::move(fresh).value();
  return link.get();
}

/// How long nothing is to be done if nobody wakes the worker.
long Holder::wait_ms() const {
  double now = now_s();
  double until = std::min({now + kIdleMs / 1000.0, next_let_go_s_, next_tidy_s_});
  if (moving_) until = std::min(until, next_move_s_);
  if (leaving_) until = std::min(until, next_leave_s_);
  for (auto &[client, retry] : retries_)
    if (retry.not_before_s > now) until = std::min(until, retry.not_before_s);
  double ready = back_off_.next_ready_s(until);
  if (ready > now) until = std::min(until, ready);
  return std::max(1L, static_cast<long>((until - now) * 1000) + 1);
}

/// Moves jobs on until a source is free again, somebody wakes the worker, or other work is due.
void Holder::follow_jobs() {
  std::vector<CopyEnded> ended;
  for (;;) {
    int busy = 0;
    for (auto &[node, port] : ports_) busy += port->busy();
    if (busy == 0) return;
    long ms = std::clamp(wait_ms(), 1L, 200L);
    bool woken = bridge::pg_call([&] {
      WaitEventSet *set = CreateWaitEventSet(CurrentMemoryContext, busy + 2);
      AddWaitEventToSet(set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, nullptr);
      AddWaitEventToSet(set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, nullptr, nullptr);
      for (auto &[node, port] : ports_)
        if (port->busy())
          AddWaitEventToSet(set, WL_SOCKET_READABLE | (port->unsent() ? WL_SOCKET_WRITEABLE : 0), port->socket(),
                            nullptr, nullptr);
      WaitEvent event;
      int n = WaitEventSetWait(set, ms, &event, 1, PG_WAIT_EXTENSION);
      FreeWaitEventSet(set);
      bool latch = n == 1 && (event.events & WL_LATCH_SET);
      if (latch) ResetLatch(MyLatch);
      CHECK_FOR_INTERRUPTS();
      return latch || n == 0;
    });
    int still_busy = 0;
    for (auto &[node, port] : ports_) {
      bool was_busy = port->busy();
      port->pump(ended);
      if (was_busy && !port->busy() && port->job_s() > 0) pace_.note(port->job_s(), port->job_clients());
      still_busy += port->busy();
    }
    settle(ended);
    if (woken || still_busy < busy) return;
  }
}

long Holder::round() {
  if (bridge::self_node() == kNoNode) return kIdleMs;
  if (marks_left_) take_marks_back();
  follow_catalog();
  forget_lost_jobs();
  take();
  bring(find_missing());
  follow_jobs();
  if (!copies_wanted()) {
    marks_left_ = true;
    let_go_asked();
    let_go();
    shed();
    move_homes();
    leave_fabric();
    marks_left_ = false;
    adopt_orphans();
    tidy();
  }
  tell();
  return in_flight_.empty() && !more_missing_ ? wait_ms() : 0;
}

namespace {

long holder_round() {
  static Holder holder;
  // A table that somebody has locked must not hold up the copies of everybody else.
  static bool set = false;
  if (!set) bridge::pg_call([] { SetConfigOption("lock_timeout", "2s", PGC_SUSET, PGC_S_OVERRIDE); });
  set = true;
  return holder.round();
}

}  // namespace

void init_holder() { register_holder_queue(); }

}  // namespace vectorshard::place

using namespace vectorshard;

/// Trigger on wish and shard_table.
VECTORSHARD_FUNCTION(vectorshard_wake_holder) {
  return bridge::entry([&]() -> Datum {
    bridge::wake_at_commit(bridge::kHolder);
    return PointerGetDatum(nullptr);
  });
}

extern "C" __attribute__((visibility("default"))) void vectorshard_holder_main(Datum) {
  static const bridge::WorkerSpec spec{bridge::kHolder, "vectorshard holder", "vectorshard_holder_main",
                                       place::holder_round};
  bridge::run_worker(spec);
}
