// Weak stand-ins for stages that have not landed: nothing is cold, nothing is noted. Removed with them.
#include "pg/bridge/guard.hpp"
#include "pg/place/api.hpp"
#include "pg/telemetry/api.hpp"
#include "pg/tier/api.hpp"

#define PENDING __attribute__((weak))

namespace vectorshard {

PENDING std::unique_ptr<tier::ColdScan> tier::scan_cold_clients(Oid, const std::vector<std::string> *, Snapshot) { return nullptr; }
PENDING std::unique_ptr<tier::ColdScan> tier::scan_partition(Oid, Snapshot) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, "not built in: tier::scan_partition");
}
PENDING void place::note_missed_access(std::string_view) noexcept {}
PENDING Result<bool> telemetry::take_report(const RawReport &) { return true; }
PENDING void telemetry::flush_reports() noexcept {}

}  // namespace vectorshard
