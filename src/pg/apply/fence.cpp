// The fence: see fence.hpp. Correct because of an order: the writer takes the table's lock, then reads the eviction
// epoch, then residency under a fresh snapshot; make_leave commits `leaving`, then moves the epoch, then waits for the
// holders of the lock. What a rolled-back savepoint brought must not be believed, so its end empties the memory.
#include "pg/apply/fence.hpp"

#include "core/apply/residency_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/apply/resident_known.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/api.hpp"
extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
}

namespace vectorshard::apply {

namespace {

/// The clients that this transaction has found resident, as of one eviction epoch.
struct Passed {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  uint64 epoch = 0;
  std::string last;
  bool any = false;
  std::unordered_set<std::string, NameHash, std::equal_to<>> clients;

  void clear() {
    any = false;
    clients.clear();
  }
};

Passed &passed() {
  static Passed p;
  return p;
}

void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  if (event == SUBXACT_EVENT_ABORT_SUB) passed().clear();
}

[[noreturn]] void raise_leaving(std::string_view client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "client \"" + std::string(client) + "\" is leaving this node",
                         "Its rows are being removed from here; they stay at its home.", "Retry the transaction.");
}

[[noreturn]] void raise_absent(std::string_view client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE,
                         "client \"" + std::string(client) + "\" is not resident on this node any more",
                         "Its rows left this node while the statement ran.", "Retry the transaction.");
}

void check(std::string_view client, bool may_fetch) {
  if (known_resident(client)) return;
  Residency r = residency_now(client);
  Write verdict = may_write(r.resident, r.leaving, may_fetch);
  remember_resident(client, r);
  if (verdict == Write::fetch) {
    (void)stamp();  // raises now if this node's clock is refused, and not after it has waited for the copy in vain
    place::require_resident(client);
    bridge::pg_call([] { CommandCounterIncrement(); });
    r = residency_now(client);
    verdict = may_write(r.resident, r.leaving, false);
  }
  if (verdict == Write::absent) raise_absent(client);
  if (verdict == Write::leaving) raise_leaving(client);
}

}  // namespace

void fence(std::string_view client, bool may_fetch) {
  Passed &p = passed();
  uint64 epoch = pg_atomic_read_u64(&bridge::shared()->eviction_epoch);
  if (p.transaction != MyProc->lxid || p.epoch != epoch) {
    static bool hooked = false;
    if (!hooked) bridge::pg_call([] { RegisterSubXactCallback(on_subtransaction, nullptr); });
    hooked = true;
    p.clear();
    p.transaction = MyProc->lxid;
    p.epoch = epoch;
  }
  if (p.any && p.last == client) return;
  if (p.clients.find(client) == p.clients.end()) {
    check(client, may_fetch);
    p.clients.emplace(client);
  }
  p.last = client;
  p.any = true;
}

}  // namespace vectorshard::apply
