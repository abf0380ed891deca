// Weak stand-ins, so that the library loads while the stages that define these have not landed. Removed with them.
#include "pg/bridge/guard.hpp"
#include "pg/tier/api.hpp"

#define PENDING __attribute__((weak))

namespace vectorshard {

namespace {
[[noreturn]] void missing(const char *what) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, std::string("not built in: ") + what);
}
}  // namespace

PENDING bool tier::cold_under(Snapshot, std::string_view) { missing("tier::cold_under"); }
PENDING bool tier::bring_back(std::string_view) { missing("tier::bring_back"); }

}  // namespace vectorshard
