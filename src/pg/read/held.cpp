// Clients that this transaction changes elsewhere, or has brought back: see held.hpp.
#include "pg/read/held.hpp"

#include <unordered_set>

#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/read/sources.hpp"
#include "pg/tier/api.hpp"
extern "C" {
#include "access/xact.h"
#include "storage/proc.h"
}

namespace vectorshard::read {

namespace {

struct Known {
  LocalTransactionId transaction = InvalidLocalTransactionId;
  std::unordered_set<std::string> held, brought;
};

Known &store() {
  static Known k;
  return k;
}

void on_savepoint(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  // Which of them began inside is not kept: they are simply looked at again.
  if (event == SUBXACT_EVENT_ABORT_SUB) store().transaction = InvalidLocalTransactionId;
}

Known &known() {
  static bool hooked = false;
  if (!hooked) bridge::pg_call([] { RegisterSubXactCallback(on_savepoint, nullptr); });
  hooked = true;
  Known &k = store();
  if (k.transaction != MyProc->lxid) {
    k.held.clear();
    k.brought.clear();
    k.transaction = MyProc->lxid;
  }
  return k;
}

[[noreturn]] void raise_moved(const std::string &client) {
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE,
                         "client \"" + client + "\" became resident on this node while the statement ran", "",
                         "Retry the transaction.");
}

}  // namespace

void hold_elsewhere(const std::string &client) {
  if (known().held.count(client)) return;
  bridge::lock_client_shared(client);
  if (apply::residency_now(client).resident) raise_moved(client);
  known().held.insert(client);
  note_changed_at_home(client);
}

void bring_back_here(const std::string &client) {
  if (known().brought.count(client)) return;
  if (!tier::bring_back(client)) raise_moved(client);
  bridge::pg_call([] { CommandCounterIncrement(); });
  known().brought.insert(client);
}

}  // namespace vectorshard::read
