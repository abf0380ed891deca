// The leaving mark of a client: made durable, made known to writers, and waited for (docs/architecture.md, "Leaving").
// After make_leave no transaction can write the client's rows here any more; until remove_rows nothing is lost, and
// cancel_leave takes it all back.
#include "pg/apply/api.hpp"
#include "pg/apply/lockers.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/bridge/tables.hpp"
extern "C" {
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"
}

namespace vectorshard::apply {

namespace {

constexpr const char *kMark = "UPDATE vectorshard.resident SET leaving = $2 WHERE client = $1 AND leaving <> $2";
constexpr long kPollMs = 5;

/// In a transaction of its own. False if there was nothing to change.
bool mark(std::string_view client, bool leaving) {
  bridge::WorkerTransaction transaction;
  uint64_t changed;
  {
    bridge::Spi spi;
    changed = spi.execute(kMark, {bridge::p_text(client), bridge::p_bool(leaving)});
  }
  transaction.commit();
  // Writers compare this with what they saw when they last looked; it moves only after the mark can be seen.
  pg_atomic_fetch_add_u64(&bridge::shared()->eviction_epoch, 1);
  return changed > 0;
}

/// Whoever holds a write lock on a table of clients' rows may have looked before the mark was there. Row locks hold what others read of a table
/// of consistency home: where the home moves away, they must not have been for nothing. Fences rely on it that none of them is left out (passed_clients.hpp).
std::vector<VirtualTransactionId> writers_now() {
  std::vector<VirtualTransactionId> writers;
  bridge::WorkerTransaction transaction;
  std::vector<std::pair<Oid, bool>> tables;
  for (const bridge::EnrolledTable *t : bridge::enrolled_tables())
    if (!t->reference) tables.emplace_back(t->relid, t->home);
  for (auto [relid, home] : tables) {
    collect_writers(relid, &writers);
    if (home) collect_row_lockers(relid, &writers);
  }
  transaction.commit();
  return writers;
}

}  // namespace

bool make_leave(std::string_view client, int timeout_ms) {
  if (!mark(client, true)) return false;
  std::vector<VirtualTransactionId> writers = writers_now();
  TimestampTz until = TimestampTzPlusMilliseconds(bridge::steady_us(), timeout_ms);
  while (any_open(&writers)) {
    if (bridge::steady_us() >= until) {
      mark(client, false);
      return false;
    }
    bridge::pg_call([] {
      CHECK_FOR_INTERRUPTS();
      (void)WaitLatch(nullptr, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
    });
  }
  return true;
}

void cancel_leave(std::string_view client) { (void)mark(client, false); }

}  // namespace vectorshard::apply
