// One query of the holder table a look; everything else is bookkeeping.
#include "observer.hpp"

namespace vectorshard::demo {

Observer::Observer(const Fabric &fabric, Fleet &fleet)
    : fabric_(fabric), fleet_(fleet), core_(fabric.conninfo_admin(fabric.core_index())) {
  const Rows rows = returns();
  by_prediction_before_ = rows.number(0, 0);
  by_access_before_ = rows.number(0, 1);
}

Rows Observer::returns() {
  return core_.run("SELECT coalesce(sum(back_by_prediction), 0), coalesce(sum(back_by_access), 0) FROM vectorshard.tier_usage");
}

void Observer::count_returns() {
  const Rows rows = returns();
  outcome_.back_by_prediction = rows.number(0, 0) - by_prediction_before_;
  outcome_.back_by_access = rows.number(0, 1) - by_access_before_;
}

void Observer::see_copy(FleetClient &client, size_t node) {
  const auto key = std::pair(client.name, node);
  live_now_[key] = true;
  const Report *report = client.last_report;
  if (!live_before_.contains(key) && report && client.serving != node) outcome_.ahead.push_back({report->at, node});
}

void Observer::look() {
  static constexpr Statement kHolders = {
      "holders", "SELECT client, node, state FROM vectorshard.holder WHERE state IN ('live', 'cold')"};
  const Rows rows = core_.execute(kHolders, {});
  live_now_.clear();
  size_t surplus = 0, idle = 0;
  for (int i = 0; i < rows.count(); i++) {
    const auto it = fleet_.by_name.find(rows.str(i, 0));
    if (it == fleet_.by_name.end()) continue;
    FleetClient &client = *it->second;
    const bool cold = rows.text(i, 2) == "cold";
    const size_t node = fabric_.index_of(static_cast<int>(rows.number(i, 1)));
    if (node >= fabric_.edges()) {
      bool &was_cold = cold_before_[client.name];
      if (cold && !was_cold) {
        outcome_.sent_to_store++;
        client.sent_to_store = true;
      }
      was_cold = cold;
      continue;
    }
    see_copy(client, node);
    const size_t serving = client.serving;
    if (serving == kNowhere)
      idle++;
    else
      surplus += serving != node;
  }
  live_before_.swap(live_now_);
  active_ = 0;
  for (const auto &client : fleet_.clients) active_ += client->serving != kNowhere;
  if (active_ == 0) return;
  outcome_.surplus_sum += static_cast<double>(surplus) / static_cast<double>(active_);
  outcome_.idle_copies_sum += static_cast<double>(idle) / static_cast<double>(active_);
  outcome_.samples++;
}

}  // namespace vectorshard::demo
