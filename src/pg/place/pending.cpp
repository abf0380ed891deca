// Weak stand-ins, so that the library loads while the stages that define these have not landed. Removed with them.
#include "pg/apply/api.hpp"
#include "pg/bridge/guard.hpp"

#define PENDING __attribute__((weak))

namespace vectorshard::apply {

namespace {
[[noreturn]] void missing(const char *what) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, std::string("not built in: ") + what);
}
}  // namespace

PENDING Residency residency_now(std::string_view) { missing("apply::residency_now"); }
PENDING Version stamp(Version) { missing("apply::stamp"); }

}  // namespace vectorshard::apply
