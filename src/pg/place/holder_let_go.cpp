// Which clients the holder worker lets go: those that no wish keeps (core/place/keep), and those an operator asked to.
// While the home cannot be reached nothing is evicted, and the rules are asked again later.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/evict.hpp"
#include "pg/place/holder.hpp"
#include "pg/place/navigator_queue.hpp"
#include "pg/place/policies.hpp"
extern "C" {
#include "miscadmin.h"
#include "storage/latch.h"
}

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text;

// Evictions between two looks at what writers wait for.
constexpr int kEvictionsARound = 4;
constexpr double kLookAtLeastS = 0.1, kLookAtMostS = 10;

constexpr char kHeldQuery[] = R"(
  SELECT r.client, coalesce(c.home, 0), coalesce(c.epoch, 0), r.generation, r.leaving,
         extract(epoch FROM r.since)::float8,
         coalesce((SELECT extract(epoch FROM max(w.until))::float8 FROM vectorshard.wish w
                    WHERE w.client = r.client AND w.node = $1), 0),
         extract(epoch FROM now())::float8,
         coalesce((SELECT h.bytes FROM vectorshard.holder h WHERE h.client = r.client AND h.node = $1), 0)
    FROM vectorshard.resident r LEFT JOIN vectorshard.client c ON c.client = r.client
   WHERE c.home <> $1
   ORDER BY r.since)";

constexpr char kAskedQuery[] = R"(
  SELECT coalesce(c.home, 0), coalesce(c.epoch, 0), coalesce(r.generation, 0), r.client IS NOT NULL,
         coalesce((SELECT string_agg(format('node %s until %s (%s)', w.planner, w.until, w.reason), ', ')
                     FROM vectorshard.wish w
                    WHERE w.client = $2 AND w.node = $1 AND w.planner <> $1 AND w.until > now()), ''),
         c.client IS NOT NULL
    FROM (SELECT) one LEFT JOIN vectorshard.client c ON c.client = $2
    LEFT JOIN vectorshard.resident r ON r.client = $2)";

std::string quoted(const std::string &client) { return "\"" + client + "\""; }

struct Asked {
  Leaver leaver;
  int sqlstate = 0;  // not 0: refused (why)
  Error why{};
};

/// What an operator asked for: takes back this node's own wishes and pins, then looks whether anything forbids it.
Asked read_asked(const std::string &client) {
  NodeId self = bridge::self_node();
  Asked a;
  a.leaver.client = client;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    auto r = spi.query_kept(kAskedQuery, {p_int4(self), p_text(client)});
    a.leaver.home = static_cast<NodeId>(r.int8(0, 0));
    a.leaver.epoch = r.int8(0, 1);
    a.leaver.generation = r.int8(0, 2);
    bool resident = r.boolean(0, 3);
    auto refuse = [&](int sqlstate, Errc code, const char *what, const std::string &detail, const char *hint) {
      a.sqlstate = sqlstate;
      a.why = Error{code, "client " + quoted(client) + what, detail, hint};
    };
    if (!r.boolean(0, 5))
      refuse(ERRCODE_UNDEFINED_OBJECT, Errc::not_found, " is not known", "No row of it was inserted on any node.",
             "Give the name of a client that vectorshard.placements shows on this node.");
    else if (!resident)
      refuse(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, Errc::not_found, " is not resident on this node",
             "Its home is node " + std::to_string(a.leaver.home) + ".",
             "Call evict() on a node that vectorshard.placements shows as holder.");
    else if (a.leaver.home == self)
      refuse(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, Errc::invalid_argument, " has its home on this node",
             "A home keeps its clients, in the heap or in a store.", "Use vectorshard.move_to_cold() for idle clients.");
    else if (!r.at(0, 4).empty())
      refuse(ERRCODE_OBJECT_IN_USE, Errc::invalid_argument, " is wished onto this node", "Wished by " + r.at(0, 4) + ".",
             "Wait until the wish ends, or end a pin where it was given: vectorshard.place(client, node, now()).");
    if (a.sqlstate == 0) {
      spi.execute("UPDATE vectorshard.wish SET until = now(), reason = 'evicted by an operator' "
                  "WHERE client = $1 AND node = $2 AND planner = $2 AND until > now()",
                  {p_text(client), p_int4(self)});
      UntoldPolicies quiet;
      spi.execute("UPDATE vectorshard.policy SET valid_to = now() WHERE client = $1 AND node = $2 AND kind = 'pin' "
                  "AND valid_to > now() AND policy = vectorshard.pin_name($1, $2, $2)",
                  {p_text(client), p_int4(self)});
    }
  }
  tx.commit();
  return a;
}

}  // namespace

/// One eviction that an operator waits for. A link that broke unnoticed since its last use is made anew once.
EvictEnd Holder::evict_asked(const Leaver &leaver) {
  EvictEnd end{false, ERRCODE_CONNECTION_FAILURE, {}};
  for (int attempt = 1; attempt <= 2; attempt++) {
    bridge::Link *home = link(leaver.home, end.why);
    if (!home) break;
    end = evict(leaver, *home);
    if (end.evicted || end.sqlstate != ERRCODE_CONNECTION_FAILURE) return end;
  }
  end.why.detail = end.why.message + ". " + end.why.detail;
  end.why.message = "home of client " + quoted(leaver.client) + " cannot be reached, nothing is evicted";
  return end;
}

/// Evictions that operators wait for.
void Holder::let_go_asked() {
  for (const std::string &client : std::exchange(asked_to_evict_, {})) {
    Asked a = read_asked(client);
    EvictEnd end{false, a.sqlstate, a.why};
    if (a.sqlstate == 0) end = evict_asked(a.leaver);
    if (end.evicted)
      finish(RequestKind::evict, client);
    else
      finish_failed(RequestKind::evict, client, end.sqlstate, end.why);
  }
}

/// Copies that no wish keeps. At most a few a round; the rest at once in the next.
void Holder::let_go() {
  if (take_policies_changed_for_holder()) next_let_go_s_ = 0;
  if (now_s() < next_let_go_s_) return;
  double keep_s = bridge::guc::keep_s / bridge::guc::time_scale;
  next_let_go_s_ = now_s() + std::clamp((leaving_ ? 0 : keep_s) / 4, kLookAtLeastS, kLookAtMostS);
  std::vector<Leaver> leavers;
  {
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      auto rows = spi.query_kept(kHeldQuery, {p_int4(bridge::self_node())});
      std::vector<std::string> clients;
      for (size_t i = 0; i < rows.size(); i++) clients.push_back(rows.at(i, 0));
      Bans banned = bans_here(spi, clients);
      const Economy &reckoning = economy(spi);
      for (size_t i = 0; i < rows.size(); i++) {
        NodeId home = static_cast<NodeId>(rows.int8(i, 1));
        HeldCopy held{home, rows.boolean(i, 4), rows.float8(i, 5), rows.float8(i, 6), in_flight_.contains(rows.at(i, 0))};
        bool at_once = leaving_ || banned.contains(rows.at(i, 0));  // whatever wishes it
        double hold = at_once ? 0 : hold_s(reckoning.edge, rows.float8(i, 8), reckoning.average_bytes, bridge::guc::keep_s) / bridge::guc::time_scale;
        if (at_once) held.since_s = held.wished_until_s = 0;
        if (may_let_go(held, bridge::self_node(), rows.float8(i, 7), hold) &&
            evict_retries_[rows.at(i, 0)].not_before_s <= now_s())
          leavers.push_back({rows.at(i, 0), home, rows.int8(i, 2), rows.int8(i, 3), rows.int8(i, 8)});
      }
    }
    tx.commit();
  }
  int done = 0;
  for (const Leaver &l : leavers) {
    if (done == kEvictionsARound || copies_wanted() || (done > 0 && MyLatch->is_set)) {
      next_let_go_s_ = now_s();
      return;
    }
    Error why;
    bridge::Link *home = link(l.home, why);
    if (!home) continue;  // its back-off says when it is tried again
    done++;
    EvictEnd end = evict(l, *home);
    if (end.evicted) {
      evict_retries_.erase(l.client);
      went(l.bytes);
      continue;
    }
    if (!home->alive()) {
      back_off_.failed(l.home, now_s());
      peer_errors_[l.home] = end.why;
    }
    Retry &retry = evict_retries_[l.client];
    retry.not_before_s = now_s() + std::min(30.0, 1.0 * (1 << std::min(retry.failures++, 5)));
    ereport(DEBUG1, (errmsg("vectorshard holder: %s", end.why.message.c_str()),
                     end.why.detail.empty() ? 0 : errdetail("%s", end.why.detail.c_str())));
  }
  if (leavers.empty()) evict_retries_.clear();
}

}  // namespace vectorshard::place
