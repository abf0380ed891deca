// The fence of tables of consistency home: see home_fence.hpp.
#include "pg/apply/home_fence.hpp"

#include "pg/apply/api.hpp"
#include "pg/apply/fence.hpp"
#include "pg/apply/passed_clients.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/lookup.hpp"
#include "pg/place/api.hpp"

namespace vectorshard::apply {

namespace {

/// The clients whose home this transaction has found to be here.
PassedClients &passed() {
  static PassedClients p;
  return p;
}

}  // namespace

bool writes_at_home(std::string_view client) {
  if (passed().contains(client)) return true;
  auto here = bridge::with_fresh_snapshot([&](Snapshot s) { return place::home_here(s, client); });
  if (here != place::HomeHere::yes) return false;
  // Leaving is told by the row fence to those who write; who only locks rows comes by here alone, and may write them afterwards.
  Residency r = residency_now(client);
  if (r.leaving) return false;
  passed().add(client);
  if (r.resident) note_fenced(client);
  return true;
}

void require_home(std::string_view client) {
  if (writes_at_home(client)) return;
  bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "this node is not the home of client \"" + std::string(client) + "\"",
                         "Rows of tables with consistency home are written and locked at the client's home alone, and not while that moves.",
                         "Retry the transaction, and leave ONLY out of it.");
}

}  // namespace vectorshard::apply
