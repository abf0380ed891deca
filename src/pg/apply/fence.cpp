// The fence: see fence.hpp. Correct because of an order: the writer takes the table's lock, then reads residency under a fresh snapshot (or the
// eviction epoch, which tells that what an earlier transaction read still holds); make_leave commits `leaving`, then moves the epoch, then waits
// for the holders of the lock.
#include "pg/apply/fence.hpp"

#include "core/apply/residency_rules.hpp"
#include "pg/apply/api.hpp"
#include "pg/apply/passed_clients.hpp"
#include "pg/apply/resident_known.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/place/api.hpp"
extern "C" {
#include "access/xact.h"
}

namespace vectorshard::apply {

namespace {

/// The clients that this transaction has found resident.
PassedClients &passed() {
  static PassedClients p;
  return p;
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
  if (passed().contains(client)) return;
  check(client, may_fetch);
  passed().add(client);
}

void note_fenced(std::string_view client) { passed().add(client); }

}  // namespace vectorshard::apply
