// Weak stand-ins, so that the library loads while the stages that define these have not landed. Removed with them.
#include "pg/apply/api.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/ship/api.hpp"
#include "pg/tier/api.hpp"

#define PENDING __attribute__((weak))

namespace vectorshard {

namespace {
[[noreturn]] void missing(const char *what) {
  bridge::raise_sqlstate(ERRCODE_FEATURE_NOT_SUPPORTED, std::string("not built in: ") + what);
}
}  // namespace

PENDING ship::Reply apply::merge(const ship::Batch &) { missing("apply::merge"); }
PENDING void apply::remove_rows(std::string_view) { missing("apply::remove_rows"); }
PENDING bool apply::make_leave(std::string_view, int) { missing("apply::make_leave"); }
PENDING void apply::cancel_leave(std::string_view) { missing("apply::cancel_leave"); }
PENDING std::string apply::client_digest(std::string_view) { missing("apply::client_digest"); }
PENDING ship::Batch ship::export_client(std::string_view, BatchKind) { missing("ship::export_client"); }
PENDING void ship::wait_decoded_visible() { missing("ship::wait_decoded_visible"); }
PENDING void ship::add_debt(NodeId, std::string_view, const std::string &) { missing("ship::add_debt"); }
PENDING void ship::learn_holder(std::string_view, NodeId, Generation, const std::string &, Version) {
  missing("ship::learn_holder");
}
PENDING bool tier::cold_under(Snapshot, std::string_view) { missing("tier::cold_under"); }
PENDING bool tier::bring_back(std::string_view) { missing("tier::bring_back"); }

}  // namespace vectorshard
