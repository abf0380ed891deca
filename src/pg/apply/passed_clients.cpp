// What a transaction has looked up: see passed_clients.hpp.
#include "pg/apply/passed_clients.hpp"

#include "pg/bridge/guard.hpp"
extern "C" {
#include "storage/proc.h"
}

namespace vectorshard::apply {

void PassedClients::on_subtransaction(SubXactEvent event, SubTransactionId, SubTransactionId, void *passed) {
  if (event == SUBXACT_EVENT_ABORT_SUB) static_cast<PassedClients *>(passed)->clear();
}

void PassedClients::clear() {
  any_ = false;
  clients_.clear();
}

void PassedClients::renew() {
  if (transaction_ == MyProc->lxid) return;
  if (!hooked_) bridge::pg_call([&] { RegisterSubXactCallback(on_subtransaction, this); });
  hooked_ = true;
  clear();
  transaction_ = MyProc->lxid;
}

bool PassedClients::contains(std::string_view client) {
  renew();
  if (any_ && last_ == client) return true;
  if (clients_.find(client) == clients_.end()) return false;
  last_ = client;
  any_ = true;
  return true;
}

void PassedClients::add(std::string_view client) {
  renew();
  clients_.emplace(client);
  last_ = client;
  any_ = true;
}

}  // namespace vectorshard::apply
