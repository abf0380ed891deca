// Asking all homes for answers that cannot be filtered here: see ScanPlan.exact and here.hpp.
#include "pg/bridge/guard.hpp"
#include "pg/read/elsewhere.hpp"

namespace vectorshard::read {

namespace {

constexpr int kTries = 5;

}  // namespace

/// Every home has decided which clients are its own when its first rows are here.
void ElsewhereScan::ask_exactly(const std::vector<HomeNode> &homes) {
  for (int tries = 1;; tries++) {
    if (!here_) here_.emplace(estate_->es_snapshot, home_);
    SelectSpec spec = select_spec();
    spec.leave_out.assign(here_->names().begin(), here_->names().end());
    for (const HomeNode &home : homes) {
      spec.home = home.node;
      ask({home.node, true, {}}, spec);
    }
    for (auto &question : questions_) question.cursor->wait();
    if (!here_->moved()) return;
    questions_.clear();
    here_.reset();
    if (tries == kTries)
      bridge::raise_sqlstate(ERRCODE_T_R_SERIALIZATION_FAILURE, "homes of clients move while they are asked", "",
                             "Retry the transaction.");
  }
}

}  // namespace vectorshard::read
