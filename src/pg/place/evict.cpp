// Letting one client go: see evict.hpp. Fence (make_leave), let what was written here be shipped, ask the home, and only
// then remove the rows, the residency and the debts in one transaction. Anything that goes wrong before: cancel_leave.
#include "pg/place/evict.hpp"

#include "core/place/handshake.hpp"
#include "core/ship/debt_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/wal.hpp"
#include "pg/place/copy.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text;

// Writers that are open longer than this keep the client here; it is tried again later.
constexpr int kLeaveMs = 250;
// How long the shipper gets to deliver what was written before the fence. What it has not by then, the home takes over.
constexpr int kShipMs = 50;
constexpr int kAnswerMs = 2000;

constexpr char kHandshake[] =
    "SELECT vectorshard.evict_handshake($1, $2::int, $3::bigint, $4, $5::boolean, $6::int[])";

EvictEnd kept(int sqlstate, Error why) { return {false, sqlstate, std::move(why)}; }

/// True if everything written here before now was delivered or stands in debt.
bool all_shipped() {
  uint64_t written = bridge::pg_call([] { return static_cast<uint64_t>(bridge::flush_wal()); });  // only what is flushed is shipped
  TimestampTz deadline = TimestampTzPlusMilliseconds(bridge::steady_us(), kShipMs);
  while (pg_atomic_read_u64(&bridge::shared()->confirmed_lsn) < written) {
    if (bridge::steady_us() > deadline) return false;
    ship::want_confirmed();
    // Not the latch: a wake-up of this worker must not be lost here.
    bridge::pg_call([] {
      CHECK_FOR_INTERRUPTS();
      pg_usleep(2000);
    });
  }
  return true;
}

/// The peers that the home must sync for us: those we owe, and every other holder while our stream has not reached it.
std::vector<std::string> debts_of(const Leaver &l, bool shipped) {
  std::vector<NodeId> owed, holders;
  {
    bridge::Spi spi;
    auto rows = spi.query_kept("SELECT peer, true FROM vectorshard.peer_debt WHERE client = $1 "
                               "UNION ALL SELECT node, false FROM vectorshard.holder WHERE client = $1 AND state <> 'gone'",
                               {p_text(l.client)});
    for (size_t i = 0; i < rows.size(); i++)
      (rows.boolean(i, 1) ? owed : holders).push_back(static_cast<NodeId>(rows.int8(i, 0)));
  }
  std::vector<std::string> out;
  for (NodeId peer : ship::debts_to_hand_over(owed, holders, shipped, l.home, bridge::self_node()))
    out.push_back(std::to_string(peer));
  return out;
}

struct Held {
  std::string digest;
  std::vector<std::string> debts;
};

Held read_held(const Leaver &l) {
  bool shipped = all_shipped();
  Held h;
  bridge::WorkerTransaction tx;
  h.digest = apply::client_digest(l.client);
  h.debts = debts_of(l, shipped);
  tx.commit();
  return h;
}

Result<std::string> ask_home(const Leaver &l, const Held &h, bool sent, bridge::Link &home) {
  auto r = home.query(kHandshake,
                      {{l.client},
                       {std::to_string(bridge::self_node())},
                       {std::to_string(l.epoch)},
                       {h.digest},
                       {sent ? "t" : "f"},
                       {array_literal(h.debts)}},
                      false, kAnswerMs);
  if (!r.ok()) return r.error();
  return std::string(PQgetvalue(r.value().get(), 0, 0));
}

}  // namespace

Result<void> send_state(const std::string &client, bool as_home, bridge::Link &to) {
  std::string bytes;
  {
    bridge::WorkerTransaction tx;
    ship::Batch batch = ship::export_client(client, ship::BatchKind::sync);
    for (auto &c : batch.clients) c.as_home = as_home;
    bytes = ship::encode(batch);
    tx.commit();
  }
  auto r = to.query("SELECT vectorshard.apply($1::bytea)", {{bytes, true}}, true, bridge::guc::link_timeout_ms);
  if (!r.ok()) return r.error();
  const PGresult *answer = r.value().get();
  auto reply = ship::decode_reply(std::string_view(PQgetvalue(answer, 0, 0), PQgetlength(answer, 0, 0)));
  if (!reply.ok()) return reply.error();
  if (!reply.value().refusals.empty() || reply.value().dead_letters > 0)
    return Error{Errc::invalid_argument, "the home could not take all rows of client \"" + client + "\"",
                 "Refused: " + std::to_string(reply.value().refusals.size()) + ", dead letters: " +
                     std::to_string(reply.value().dead_letters) + ".",
                 "Look at vectorshard.conflicts on the home."};
  return {};
}

namespace {

/// The last step: nothing of the client stays here.
bool remove_here(const Leaver &l, const Held &h) {
  bridge::WorkerTransaction tx;
  if (!bridge::try_lock_client(l.client)) return false;
  auto residency = apply::residency_now(l.client);
  if (!residency.resident || residency.generation != l.generation) return false;
  {
    bridge::LearnedWrites learned;
    apply::remove_rows(l.client);
  }
  {
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.holder SET state = 'gone' WHERE client = $1 AND node = $2",
                {p_text(l.client), p_int4(bridge::self_node())});
    // Debts that came after the handshake are not the home's: the shipper finds the client gone and tells the home.
    spi.execute("DELETE FROM vectorshard.peer_debt WHERE client = $1 AND (peer = $2 OR peer::text = ANY ($3::text[]))",
                {p_text(l.client), p_int4(l.home), bridge::p_text_array(h.debts)});
  }
  tx.commit();
  return true;
}

EvictEnd settle_with_home(const Leaver &l, bridge::Link &home) {
  Held h = read_held(l);
  auto answer = ask_home(l, h, false, home);
  if (answer.ok() && answer_of(answer.value()) == Answer::send) {
    auto sent = send_state(l.client, true, home);
    if (!sent.ok()) return kept(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, sent.error());
    answer = ask_home(l, h, true, home);
  }
  if (!answer.ok()) return kept(home.alive() ? ERRCODE_IO_ERROR : ERRCODE_CONNECTION_FAILURE, answer.error());
  if (answer_of(answer.value()) != Answer::ok)
    return kept(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
                Error{Errc::conflict, "the home of client \"" + l.client + "\" does not release its copy here",
                      "Node " + std::to_string(l.home) + " answers \"" + answer.value() + "\".",
                      "Retry later; look at vectorshard.placements for the client."});
  if (!remove_here(l, h))
    return kept(ERRCODE_LOCK_NOT_AVAILABLE,
                Error{Errc::conflict, "client \"" + l.client + "\" is in use on this node", "", "Retry later."});
  return {true};
}

}  // namespace

EvictEnd evict(const Leaver &leaver, bridge::Link &home) {
  if (!apply::make_leave(leaver.client, kLeaveMs))
    return kept(ERRCODE_LOCK_NOT_AVAILABLE,
                Error{Errc::conflict, "client \"" + leaver.client + "\" cannot leave: transactions are writing here",
                      "Waited " + std::to_string(kLeaveMs) + " ms for open transactions to end.", "Retry later."});
  EvictEnd end;
  try {
    end = settle_with_home(leaver, home);
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
    end = kept(e.sqlstate, Error{Errc::io, e.message, e.detail, e.hint});
  }
  if (!end.evicted) apply::cancel_leave(leaver.client);
  return end;
}

}  // namespace vectorshard::place
