// Clients that this transaction changes elsewhere, or has brought back: see held.hpp.
#include "pg/read/held.hpp"

#include <unordered_map>

#include "pg/apply/api.hpp"
#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/written_at_home.hpp"
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
  std::unordered_map<std::string, int> held, brought;  // with the savepoint level that they began at
};

Known &store() {
  static Known k;
  return k;
}

void on_savepoint(SubXactEvent event, SubTransactionId, SubTransactionId, void *) {
  if (event != SUBXACT_EVENT_ABORT_SUB && event != SUBXACT_EVENT_COMMIT_SUB) return;
  int level = GetCurrentTransactionNestLevel();
  for (auto *clients : {&store().held, &store().brought}) {
    if (event == SUBXACT_EVENT_ABORT_SUB) std::erase_if(*clients, [&](const auto &c) { return c.second >= level; });
    else
      for (auto &[client, began] : *clients) began = std::min(began, level - 1);
  }
}

/// Before the locks of the clients go: a copy that waits for them sees that it may lack what was committed at the home.
void on_transaction_end(XactEvent event, void *) {
  if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE) return;
  for (const auto &[client, began] : store().held) bridge::note_written_at_home(client);
  store().held.clear();
}

Known &known() {
  static bool hooked = false;
  if (!hooked)
    bridge::pg_call([] {
      RegisterSubXactCallback(on_savepoint, nullptr);
      RegisterXactCallback(on_transaction_end, nullptr);
    });
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
  known().held[client] = GetCurrentTransactionNestLevel();
  note_changed_at_home(client);
}

bool is_held_elsewhere(const std::string *client) {
  const Known &k = store();
  return k.transaction == MyProc->lxid && (client ? k.held.count(*client) > 0 : !k.held.empty());
}

void bring_back_here(const std::string &client) {
  if (known().brought.count(client)) return;
  if (!tier::bring_back(client)) raise_moved(client);
  bridge::pg_call([] { CommandCounterIncrement(); });
  known().brought[client] = GetCurrentTransactionNestLevel();
}

}  // namespace vectorshard::read
