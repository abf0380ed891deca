// The twelve wrong rules: see planted.hpp.
#include "planted.hpp"

#include "core/base/version.hpp"

namespace sim {

namespace {

struct TieByApplyingNode : Rules {
  bool beats(Version in, Version here, NodeId applier) const override {
    if (version_ms(in) != version_ms(here)) return in > here;
    return applier > version_node(in);
  }
};
struct StrictlyNewer : Rules {
  bool beats(Version in, Version here, NodeId) const override { return version_ms(in) > version_ms(here); }
};
struct NoTombstone : Rules {
  bool delete_leaves_tombstone() const override { return false; }
};
struct CounterByValue : Rules {
  apply::Counter merge_counters(const apply::Counter &winner, const apply::Counter &) const override { return winner; }
};
struct EntryReused : Rules {
  apply::EntryKey entry(NodeId node, int64_t, Generation) const override { return {node, 1, 1}; }
};
struct EvictAsDelete : Rules {
  bool eviction_leaves_tombstones() const override { return true; }
};
struct DebtDropped : Rules {
  bool undelivered_is_owed() const override { return false; }
};
struct SyncRemovesByAbsence : Rules {
  bool sync_removes_absent() const override { return true; }
};
struct EvictWithoutHome : Rules {
  bool asks_home_to_leave() const override { return false; }
};
struct HomeDoesNotForward : Rules {
  std::vector<NodeId> owed_after_merge(bool, ship::BatchKind, bool, const ship::BatchClient &,
                                       const std::vector<ship::HolderRef> &) const override {
    return {};
  }
};
struct PlacementByLastWriter : Rules {
  bool planner_writes_holders() const override { return true; }
};
struct ReceiverFills : Rules {
  bool sender_fills() const override { return false; }
};

template <class R>
Planted planted(const char *name, void (*profile)(Profile &) = nullptr) {
  return {name, "", std::make_shared<R>(), profile};
}

}  // namespace

const std::vector<Planted> &planted_rules() {
  static const std::vector<Planted> all{
      planted<TieByApplyingNode>("tie_by_applying_node"),
      planted<StrictlyNewer>("strictly_newer"),
      planted<NoTombstone>("no_tombstone"),
      planted<CounterByValue>("counter_by_value"),
      planted<EntryReused>("counter_entry_reused_after_return", lonely_copies),
      planted<EvictAsDelete>("evict_as_delete"),
      planted<DebtDropped>("debt_dropped"),
      planted<SyncRemovesByAbsence>("sync_removes_by_absence"),
      planted<EvictWithoutHome>("evict_without_home"),
      planted<HomeDoesNotForward>("home_does_not_forward"),
      planted<PlacementByLastWriter>("placement_by_last_writer"),
      planted<ReceiverFills>("toast_filled_by_receiver"),
  };
  return all;
}

}  // namespace sim
