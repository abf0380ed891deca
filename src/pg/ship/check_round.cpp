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

// Clients are asked for in groups, so that a round trip serves several; no client more often than once in a turn.
constexpr int64 kGroupUs = 5 * USECS_PER_SEC, kTurnUs = 60 * USECS_PER_SEC, kTablesUs = 600 * USECS_PER_SEC;
constexpr int kGroupMax = 500;
constexpr long kOffMs = 60000;

struct Turn {
  std::string after;
  int64 next_us = 0, began_us = 0, tables_us = 0;
};

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
  if (turn.next_us == 0) turn.next_us = turn.began_us = now + kGroupUs;
  if (now >= turn.next_us) {
    int clients = std::clamp(static_cast<int>(rate * kGroupUs / (60 * USECS_PER_SEC)), 1, kGroupMax);
    int64 pause = std::max(kGroupUs * clients * 12 / rate, kGroupUs / 50);
    bool tables = now >= turn.tables_us + kTablesUs;
    turn.after = check(turn, clients, tables);
    turn.next_us = now + pause;
    if (turn.after.empty()) {
      if (tables) turn.tables_us = now;
      turn.next_us = std::max(turn.next_us, turn.began_us + kTurnUs);
      turn.began_us = turn.next_us;
    }
  }
  return static_cast<long>((turn.next_us - now) / 1000) + 1;
}

}  // namespace vectorshard::ship
