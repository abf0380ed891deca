// Moving homes away (docs/architecture.md, "Moving a home"): the holder worker of the home carries out what stands in
// home_move. The target is wished a copy; once it is live the client is fenced here, both sides are compared, and the target
// becomes home. This node stays a holder and lets the copy go like any other. It never asks a second node before the first
// has answered: a lost answer is asked for again.
#include "core/place/handshake.hpp"
#include "pg/apply/api.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/evict.hpp"
#include "pg/place/holder.hpp"
#include "pg/place/home_serve.hpp"

namespace vectorshard::place {

namespace {

using bridge::p_bool;
using bridge::p_int4;
using bridge::p_int8;
using bridge::p_text;

constexpr int kLeaveMs = 250, kAnswerMs = 3000;
constexpr double kLookAgainS = 0.2;

constexpr char kMoves[] = R"(
  SELECT m.client, m.to_node, coalesce(c.home, 0), coalesce(c.epoch, 0), r.client IS NOT NULL, coalesce(h.state, ''),
         coalesce(n.state = 'active' AND n.kind = 'core', false), m.asked, coalesce(n.state = 'removed', true),
         EXISTS (SELECT FROM vectorshard.wish w WHERE w.client = m.client AND w.node = m.to_node AND w.planner = $1
                    AND w.until > now() + interval '1 minute'),
         coalesce((SELECT b.policy FROM vectorshard.bans_of(ARRAY[m.client], m.to_node) b), ''),
         coalesce(n.name, '')
    FROM vectorshard.home_move m
    LEFT JOIN vectorshard.client c ON c.client = m.client
    LEFT JOIN vectorshard.resident r ON r.client = m.client
    LEFT JOIN vectorshard.holder h ON h.client = m.client AND h.node = m.to_node
    LEFT JOIN vectorshard.node n ON n.node = m.to_node
   ORDER BY (h.state = 'live') DESC NULLS LAST, m.since LIMIT 64)";
constexpr char kWish[] = R"(
  INSERT INTO vectorshard.wish (client, node, planner, until, reason, _version)
  VALUES ($1, $2, $3, now() + interval '5 minutes', 'the home moves there', 0)
  ON CONFLICT (client, node, planner) DO UPDATE SET until = excluded.until, reason = excluded.reason,
    value = excluded.value, eta = NULL)";
constexpr char kAsk[] = "SELECT vectorshard.become_home($1, $2::int, $3::bigint, $4, $5::boolean)";
constexpr char kConfirm[] = "SELECT vectorshard.confirm_home($1, $2::int, $3::bigint, $4::int)";

void run(const char *sql, const std::vector<bridge::Param> &params) {
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    spi.execute(sql, params);
  }
  tx.commit();
}

/// The move is over. Where the other node was asked, what it did may have been heard of from others: then only this step tells scans of it.
void drop(const HomeMove &m) {
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    spi.execute("DELETE FROM vectorshard.home_move WHERE client = $1", {p_text(m.client)});
    if (m.asked) spi.query("SELECT vectorshard.note_home_event($1)", {p_text(m.client)});
  }
  tx.commit();
}

void note(const std::string &client, const std::string &why) {
  run("UPDATE vectorshard.home_move SET last_error = $2 WHERE client = $1 AND last_error IS DISTINCT FROM $2",
      {p_text(client), p_text(why)});
}

/// From here on this node does not know whether it is the home (home_here.cpp): that must outlive a crash, whatever the server's settings are.
/// False: meanwhile the client is to move to another node.
bool note_asked(const HomeMove &m) {
  bridge::WorkerTransaction tx;
  uint64_t changed;
  {
    bridge::Spi spi;
    spi.query("SELECT set_config('synchronous_commit', 'on', true)");
    changed = spi.execute("UPDATE vectorshard.home_move SET asked = true, asked_at = coalesce(asked_at, clock_timestamp()) WHERE client = $1 AND to_node = $2",
                          {p_text(m.client), p_int4(m.to)});
    if (!m.asked) spi.query("SELECT vectorshard.note_home_event($1)", {p_text(m.client)});
  }
  tx.commit();
  return changed > 0;
}

Result<Answer> ask(const HomeMove &m, const std::string &digest, bool sent, bridge::Link &to) {
  auto r = to.query(kAsk,
                    {{m.client}, {std::to_string(bridge::self_node())}, {std::to_string(m.epoch)}, {digest}, {sent ? "t" : "f"}},
                    false, kAnswerMs);
  if (!r.ok()) return r.error();
  return answer_of(PQgetvalue(r.value().get(), 0, 0));
}

/// With the client fenced: the target takes it, or says why not.
Result<Answer> offer(const HomeMove &m, bridge::Link &to) {
  std::string digest;
  {
    bridge::WorkerTransaction tx;
    digest = apply::client_digest(m.client);
    tx.commit();
  }
  auto answer = ask(m, digest, false, to);
  if (!answer.ok() || answer.value() != Answer::send) return answer;
  auto sent = send_state(m.client, false, to);
  if (!sent.ok()) return sent.error();
  return ask(m, digest, true, to);
}

/// The target is the home. Its own row of `client`, which comes by the stream, has a later version of the same epoch.
void accept_new_home(const HomeMove &m) {
  bridge::WorkerTransaction tx;
  {
    bridge::LearnedWrites learned;
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.client SET home = $2, epoch = $3 WHERE client = $1 AND epoch < $3",
                {p_text(m.client), p_int4(m.to), p_int8(m.epoch + 1)});
  }
  {
    bridge::Spi spi;
    spi.execute("UPDATE vectorshard.wish SET until = now() WHERE client = $1 AND node = $2 AND planner = $3 AND until > now()",
                {p_text(m.client), p_int4(m.to), p_int4(bridge::self_node())});
    spi.execute("DELETE FROM vectorshard.home_move WHERE client = $1", {p_text(m.client)});
    spi.query("SELECT vectorshard.note_home_event($1)", {p_text(m.client)});
  }
  tx.commit();
}

}  // namespace

/// The node that was asked is gone, and may have been home meanwhile: this node is the home again when the registrar says so. Whoever heard of that
/// other home would stay with it for ever, and the registrar might give its clients to somebody else.
void Holder::confirm_home(const HomeMove &m) {
  try {
    ask_registrar(m);
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
    note(m.client, e.message);
  }
}

void Holder::ask_registrar(const HomeMove &m) {
  NodeId registrar = kNoNode;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query_kept("SELECT node FROM vectorshard.node WHERE registrar AND state <> 'removed'");
      if (!rows.empty()) registrar = static_cast<NodeId>(rows.int8(0, 0));
    }
    tx.commit();
  }
  if (registrar == kNoNode) return note(m.client, "there is no registrar to ask");
  int64_t epoch = 0;
  if (registrar == bridge::self_node()) {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      epoch = spi.query_kept(kConfirm, {p_text(m.client), p_int4(bridge::self_node()), p_int8(m.epoch), p_int4(m.to)}).int8(0, 0);
    }
    tx.commit();
  } else {
    Error why;
    bridge::Link *to = link(registrar, why);
    if (!to) return note(m.client, why.message + ". " + why.detail);
    auto r = to->query(kConfirm, {{m.client}, {std::to_string(bridge::self_node())}, {std::to_string(m.epoch)}, {std::to_string(m.to)}}, false, kAnswerMs);
    if (!r.ok()) return note(m.client, r.error().message);
    epoch = std::stoll(PQgetvalue(r.value().get(), 0, 0));
  }
  if (epoch == 0) return note(m.client, "node \"" + m.to_name + "\" was removed; the registrar looks for its home");
  bridge::WorkerTransaction tx;
  go_on_as_home(m.client, m.to, epoch);
  tx.commit();
}

/// Fences the client and hands it over. What an error leaves undone is asked again in the next round.
void Holder::hand_over(const HomeMove &m) {
  Error why;
  bridge::Link *to = link(m.to, why);
  if (!to) return note(m.client, why.message + ". " + why.detail);
  if (!apply::make_leave(m.client, kLeaveMs)) return note(m.client, "transactions are writing here");
  Result<Answer> answer = Answer::absent;
  try {
    if (!note_asked(m)) return apply::cancel_leave(m.client);
    answer = offer(m, *to);
    if (answer.ok() && answer.value() == Answer::ok) accept_new_home(m);
  } catch (const bridge::PgError &e) {
    // Every transaction inside was aborted as a whole by its destructor, so the error may end here.
    answer = Error{Errc::io, e.message, e.detail, e.hint};
  }
  apply::cancel_leave(m.client);
  if (answer.ok() && answer.value() == Answer::ok) return;
  // What answers "leaving" while an earlier question is unanswered may be that question, just being carried out: it is no refusal yet.
  bool refused = answer.ok() && !(m.asked && answer.value() == Answer::leaving);
  if (refused) run("UPDATE vectorshard.home_move SET asked = false, asked_at = NULL WHERE client = $1", {p_text(m.client)});
  note(m.client, answer.ok() ? std::string("the node answers \"") + word(answer.value()) + "\"" : answer.error().message);
}

void Holder::move_homes() {
  if (now_s() < next_move_s_) return;
  std::vector<HomeMove> moves;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query_kept(kMoves, {p_int4(bridge::self_node())});
      for (size_t i = 0; i < rows.size(); i++)
        moves.push_back({rows.at(i, 0), static_cast<NodeId>(rows.int8(i, 1)), static_cast<NodeId>(rows.int8(i, 2)), rows.int8(i, 3),
                         rows.boolean(i, 4), rows.at(i, 5) == "live", rows.boolean(i, 6), rows.boolean(i, 7), rows.boolean(i, 8),
                         rows.boolean(i, 9), rows.at(i, 10), rows.at(i, 11)});
    }
    tx.commit();
  }
  for (const HomeMove &m : moves) {
    if (copies_wanted()) break;
    if (m.home != bridge::self_node() || ((m.target_removed || !m.target_may) && !m.asked))
      drop(m);
    else if (m.target_removed)
      confirm_home(m);
    else if (!m.resident)
      bring_back({m.client, m.home});
    else if (!m.target_live && !m.banned_by.empty())
      note(m.client, "policy \"" + m.banned_by + "\" keeps it off node \"" + m.to_name + "\"");
    else if (!m.target_live && !m.wished)
      run(kWish, {p_text(m.client), p_int4(m.to), p_int4(bridge::self_node())});
    else if (m.target_live)
      hand_over(m);
  }
  next_move_s_ = now_s() + (moves.empty() ? 0 : kLookAgainS);
  moving_ = !moves.empty();
}

}  // namespace vectorshard::place
