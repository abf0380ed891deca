// The fence of tables of consistency home: see home_fence.hpp. What a rolled-back savepoint brought (a birth) must not be believed, so its end
// empties the memory.
#include "pg/apply/home_fence.hpp"

#include <unordered_set>

#include "pg/apply/api.hpp"
#include "pg/apply/resident_known.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/api.hpp"
extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
}

namespace vectorshard::apply {

namespace {

struct Passed {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  uint64 epoch = 0;
  std::unordered_set<std::string, NameHash, std::equal_to<>> clients;
};

Passed &passed() {
  static Passed p;
  return p;
}

void on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  if (event == SUBXACT_EVENT_ABORT_SUB) passed().clients.clear();
}

}  // namespace

bool writes_at_home(std::string_view client) {
  static bool hooked = false;
  if (!hooked) bridge::pg_call([] { RegisterSubXactCallback(on_subtransaction, nullptr); });
  hooked = true;
  Passed &p = passed();
  uint64 epoch = pg_atomic_read_u64(&bridge::shared()->eviction_epoch);
  if (p.transaction != MyProc->lxid || p.epoch != epoch) {
    p.clients.clear();
    p.transaction = MyProc->lxid;
    p.epoch = epoch;
  }
  if (p.clients.find(client) != p.clients.end()) return true;
  auto here = bridge::with_fresh_snapshot([&](Snapshot s) { return place::home_here(s, client); });
  // Leaving is told by the row fence to those who write; who only locks rows comes by here alone.
  if (here != place::HomeHere::yes || residency_now(client).leaving) return false;
  p.clients.emplace(client);
  return true;
}

void require_home(std::string_view client) {
  if (writes_at_home(client)) return;
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "this node is not the home of client \"" + std::string(client) + "\"",
                         "Rows of tables with consistency home are written and locked at the client's home alone, and not while that moves.",
                         "Retry the transaction, and leave ONLY out of it.");
}

}  // namespace vectorshard::apply
