// What the holder worker tidies now and then. Removes only rows of this node's own copy of fabric tables that have no
// meaning any more (wishes long over, holder rows long gone, hours long past), and those removals are not shipped.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/place/holder.hpp"
#include "pg/ship/api.hpp"

namespace vectorshard::place {

namespace {

using bridge::p_int4;
using bridge::p_text_array;

constexpr double kTidyEveryS = 30, kOrderEveryS = 5, kSettlingS = 120;

/// One statement with the parameters ($1 this node, $2 clients or seconds), in a transaction of its own; a failure is
/// logged and holds up nothing. `learned`: not shipped.
void run(const char *what, const char *sql, const std::vector<std::string> *clients, bool learned) {
  try {
    bridge::WorkerTransaction tx;
    {
      std::optional<bridge::LearnedWrites> scope;
      if (learned) scope.emplace();
      bridge::Spi spi;
      spi.query(sql, {p_int4(bridge::self_node()), clients ? p_text_array(*clients)
                                                           : p_int4(bridge::guc::tombstone_retention_s)});
    }
    tx.commit();
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard holder: could not %s: %s", what, e.message.c_str())));
  }
}

}  // namespace

void Holder::keep_in_order() {
  if (now_s() < next_order_s_) return;
  if (started_s_ == 0) started_s_ = now_s();
  // After a start rows of this node may come back from peers that this node had forgotten.
  next_order_s_ = now_s() + (now_s() - started_s_ < kSettlingS ? kOrderEveryS : kTidyEveryS);
  run("restate holdings", "SELECT vectorshard.restate_holdings() WHERE $1 > 0 AND $2 > 0", nullptr, false);
  bridge::WorkerTransaction tx;
  ship::keep_positions();
  tx.commit();
}

void Holder::tidy() {
  keep_in_order();
  if (now_s() < next_tidy_s_) return;
  next_tidy_s_ = now_s() + kTidyEveryS;
  // Of clients that nobody wishes any more.
  std::erase_if(retries_, [&](auto &r) { return r.second.not_before_s < now_s() - kSettlingS; });
  std::erase_if(sizes_, [&](auto &s) { return !retries_.contains(s.first); });
  std::vector<std::string> busy(in_flight_.begin(), in_flight_.end());
  for (auto &[client, request] : requested_) busy.push_back(client);
  // Left by a crash, or by a wish that ended while the home was away.
  run("end copies that nobody wants",
      "UPDATE vectorshard.holder h SET state = 'gone' WHERE h.node = $1 AND h.state = 'copying' "
      "AND NOT h.client = ANY ($2) "
      "AND NOT EXISTS (SELECT FROM vectorshard.resident r WHERE r.client = h.client) "
      "AND (NOT EXISTS (SELECT FROM vectorshard.wish w WHERE w.client = h.client AND w.node = $1 AND w.until > now()) "
      "OR EXISTS (SELECT FROM vectorshard.bans_of(ARRAY[h.client], $1)))",
      &busy, false);
  run("remove wishes that ended",
      "DELETE FROM vectorshard.wish WHERE $1 > 0 AND until < now() - make_interval(secs => $2)", nullptr, true);
  run("remove hints and pins that ended",
      "DELETE FROM vectorshard.policy WHERE $1 > 0 AND kind IN ('hint', 'pin') AND valid_to < now() - make_interval(secs => $2)", nullptr, true);
  run("remove holder rows long gone",
      "DELETE FROM vectorshard.holder h USING vectorshard.node n WHERE h.state = 'gone' AND n.node = $1 "
      "AND to_timestamp(((h._version >> 22) + 1577836800000) / 1000.0) < now() - make_interval(secs => 2 * $2)",
      nullptr, true);
  run("remove what is told of hours long past",
      "DELETE FROM vectorshard.quality WHERE $1 > 0 AND $2 > 0 AND hour < now() - interval '48 hours'", nullptr, true);
  run("remove tombstones", "SELECT vectorshard.collect_tombstones() WHERE $1 > 0 AND $2 > 0", nullptr, false);
  // What was in the way of one may have been emptied or altered, of which nobody tells us.
  run("make enrolled tables", "SELECT vectorshard.realize_tables() WHERE $1 > 0 AND $2 > 0", nullptr, false);
  orphans_ = true;  // a row of a client whose home was removed may have come late
  run("retry dead letters", "SELECT vectorshard.retry_conflicts() WHERE $1 > 0 AND $2 > 0", nullptr, false);
}

}  // namespace vectorshard::place
