// The background check: a few clients at a time, in the worker that has time to wait. It never holds up copies, shipping
// or writers; what it finds stands in vectorshard.conflicts and is mended by sync.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/scopes.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/ship/api.hpp"
extern "C" {
#include "utils/timestamp.h"
}

namespace vectorshard::ship {

namespace {

// Clients are asked for in groups, so that a round trip serves several small ones; no client more often than once in a turn.
// A group grows while it takes less than half of kGroupUs and shrinks when it takes more, so that one large client is read
// alone and does not hold up what ships for long.
constexpr int64 kGroupUs = 20000, kSpanUs = 5 * USECS_PER_SEC, kTurnUs = 60 * USECS_PER_SEC, kTablesUs = 600 * USECS_PER_SEC;
constexpr int kGroupMax = 500;
constexpr long kOffMs = 60000;
// After a group the check rests this many times as long as it took (1 % of a core), but never falls below a tenth of
// check_rate by that.
constexpr int64 kRest = 99, kSlowest = 10;

struct Turn {
  std::string after;
  int clients = 1;
  int64 next_us = 0, began_us = 0, tables_us = 0;
};

/// How many clients next time, and how long to rest before, when `turn.clients` took so long.
int64 pace(Turn *turn, int64 took_us, int rate) {
  int64 due_us = turn->clients * 60 * USECS_PER_SEC / rate;
  int64 rest_us = std::clamp(kRest * took_us, due_us, kSlowest * due_us);
  int at_most = std::clamp(static_cast<int>(rate * kSpanUs / (60 * USECS_PER_SEC)), 1, kGroupMax);
  if (took_us > kGroupUs) turn->clients /= 2;
  if (took_us < kGroupUs / 2) turn->clients *= 2;
  turn->clients = std::clamp(turn->clients, 1, at_most);
  return rest_us;
}

/// Where to go on.
std::string check(const Turn &turn, int clients, bool tables) {
  try {
    bridge::WorkerTransaction tx;
    std::string last;
    {
      bridge::Spi spi;
      last = spi.query_kept("SELECT vectorshard.check_round($1, $2, $3)",
                            {bridge::p_text(turn.after), bridge::p_int4(clients), bridge::p_bool(tables)})
                 .at(0, 0);
    }
    tx.commit();
    return last;
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here.
    ereport(LOG, (errmsg("vectorshard tiering: could not check clients after \"%s\": %s", turn.after.c_str(), e.message.c_str())));
    return {};
  }
}

}  // namespace

long check_round() {
  static Turn turn;
  int rate = bridge::guc::check_rate;
  if (rate == 0 || bridge::self_node() == kNoNode) return kOffMs;
  int64 now = bridge::steady_us();
  if (turn.next_us == 0) turn.next_us = turn.began_us = now + kSpanUs;
  if (now >= turn.next_us) {
    bool tables = now >= turn.tables_us + kTablesUs;
    turn.after = check(turn, turn.clients, tables);
    int64 done = bridge::steady_us();
    turn.next_us = done + pace(&turn, done - now, rate);
    if (turn.after.empty()) {
      if (tables) turn.tables_us = now;
      turn.next_us = std::max(turn.next_us, turn.began_us + kTurnUs);
      turn.began_us = turn.next_us;
    }
    now = done;
  }
  return static_cast<long>((turn.next_us - now) / 1000) + 1;
}

}  // namespace vectorshard::ship
