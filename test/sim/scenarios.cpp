// Interleavings that once lost or split data, each with the rule against it taken away and with histories in which it is
// frequent. Without the rule a seed fails; with it none may. Those that are about statements of the server (9, 10, 11, 17)
// are here as far as the rules decide them; test/isolation/specs/apply_delete.spec, apply_stale_insert.spec, apply_evict.spec
// and test/multinode/050_copy_evict.pl run them on servers.
#include "core/base/version.hpp"
#include "planted.hpp"

namespace sim {

void lonely_copies(Profile &p) {
  p.nodes = std::max(p.nodes, 4);
  p.clients = 1;
  p.keys = 1;
  p.cut = 120;
  p.cut_ms = 1500;
  p.evict = 300;
  p.wish = 400;
  p.pause_ms = 60;
  p.slow_links = 500;
  p.slow_delay_ms = 700;
  p.counter_share = 900;
  p.delete_share = 5;
}

namespace {

struct SyncRemoves : Rules {
  bool sync_removes_absent() const override { return true; }
};
struct EvictWhatWasConfirmed : Rules {
  bool asks_home_to_leave() const override { return false; }
};
struct ClientByVersion : Rules {
  bool client_beats(const apply::Rank &in, const apply::Rank &here) const override { return in.version > here.version; }
};
struct PlacementByLastWriter : Rules {
  bool planner_writes_holders() const override { return true; }
};
struct EntryReused : Rules {
  apply::EntryKey entry(NodeId node, int64_t, Generation) const override { return {node, 1, 1}; }
};
struct LongAwayIsNotTrusted : Rules {
  bool long_away_delivers() const override { return false; }
};
struct SlotLostSilently : Rules {
  bool lost_slot_owes_all() const override { return false; }
};
struct ReadsElsewhere : Rules {
  bool forwards_reading_too() const override { return false; }
};
struct NoRecheck : Rules {
  bool rechecks_tombstones() const override { return false; }
};
struct InsertUnchecked : Rules {
  bool died_meanwhile(Version, Version) const override { return false; }
};
struct DecodedIsEnough : Rules {
  bool routes_what_is_visible() const override { return false; }
};
struct HoldersWithoutGeneration : Rules {
  std::vector<NodeId> owed_after_merge(bool is_home, ship::BatchKind kind, bool changed, const ship::BatchClient &sent,
                                       const std::vector<ship::HolderRef> &holders) const override {
    ship::BatchClient forgiving = sent;
    for (ship::HolderRef &s : forgiving.shipped_to)
      for (const ship::HolderRef &h : holders)
        if (h.node == s.node) s.generation = h.generation;
    return ship::owed_after_merge(is_home, kind, changed, forgiving, holders);
  }
  bool owed_when_heard_of(bool is_home, bool itself, const HolderStatement &heard, Generation known) const override {
    return known == 0 && ship::owed_when_heard_of(is_home, itself, heard, known);
  }
};
struct SyncTeachesNobody : Rules {
  std::vector<NodeId> owed_after_merge(bool is_home, ship::BatchKind kind, bool changed, const ship::BatchClient &sent,
                                       const std::vector<ship::HolderRef> &holders) const override {
    if (kind == ship::BatchKind::sync) return {};
    return ship::owed_after_merge(is_home, kind, changed, sent, holders);
  }
};
struct ReceiverFills : Rules {
  bool sender_fills() const override { return false; }
};
struct CounterWithoutBirth : Rules {
  apply::Counter merge_counters(const apply::Counter &winner, const apply::Counter &loser) const override {
    apply::Counter same = loser;
    same.birth = winner.birth;
    return apply::merge(winner, same);
  }
  apply::Counter ended(const apply::Counter &counter, Version) const override { return counter; }
};
struct TwoRegistrars : Rules {
  bool one_registrar() const override { return false; }
};
struct FenceOfTheSnapshot : Rules {
  bool fence_sees_now() const override { return false; }
};
struct NothingIsTooOld : Rules {
  bool too_old(Version, Version, Version) const override { return false; }
};
struct ScanTrustsAnswers : Rules {
  bool scan_follows_moves() const override { return false; }
};
struct AbsentIsEmpty : Rules {
  bool absent_is_not_empty() const override { return false; }
};
struct IdleUpdateIsNew : Rules {
  bool idle_update_keeps_version() const override { return false; }
};
struct BirthAloneCounts : Rules {
  int64_t epoch_of_birth_alone() const override { return 2; }
};
struct MoveByEpochAlone : Rules {
  bool home_moves(const ship::HomeStatement &heard, const ship::HomeStatement &known) const override {
    return known.home != kNoNode && heard.epoch > std::max<int64_t>(known.epoch, 1);
  }
};
struct MoveOwesNobody : Rules {
  std::vector<NodeId> owed_after_move(NodeId, NodeId, const std::vector<NodeId> &) const override { return {}; }
};

struct ConfirmedByWord : Rules {
  bool confirms(const place::AskedStanding &here, NodeId self, bool) const override { return place::confirms(here, self, true); }
};
void usual(Profile &) {}
void moves(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.move = 250;
  p.wish = 150;
  p.delay_ms = 5;
  p.skew_ms = 5000;
}
void evictions(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.evict = p.wish = 200;
  p.slow_links = 300;
  p.decode_ms = 400;
}
void short_retention(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.retention_ms = 7000;
  p.counter_share = 0;
  p.slow_delay_ms = 60;
  p.decode_ms = 20;
  p.visible_ms = 0;
  p.duplicate = 0;
  p.skew_ms = 20;
  p.cut = 40;
  p.cut_ms = 9000;
  p.pause_ms = 80;
  p.keys = std::max(p.keys, 3);
}
void lost_slots(Profile &p) { p.slot_loss = 10; }
void open_writers(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.keys = 1;
  p.clients = 1;
  p.pause_ms = 8;
  p.delay_ms = 4;
  p.open_ms = 200;
  p.wish = 100;
}
void late_commits(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.visible_ms = 400;
  p.decode_ms = 5;
  p.delay_ms = 4;
  p.slow_links = 0;
  p.open_ms = 20;
  p.evict = p.wish = 150;
  p.keys = 4;
}
void forwarding(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.forwarded = 400;
  p.slow_links = 300;
}
void slow_writers(Profile &p) {
  p.slow_writer = 200;
  p.evict = 150;
  p.wish = 100;
}
void joins(Profile &p) {
  p.nodes = 4;
  p.cores = 3;
  p.spare = 3;
  p.slow_links = 300;
}
void scans(Profile &p) {
  moves(p);
  p.scan = 200;
  p.slow_links = 300;
}
void reads(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.read_elsewhere = 200;
  p.evict = p.wish = 100;
  p.slow_links = 300;
}
void idle_updates(Profile &p) {
  p.idle_update = 300;
  p.keys = 1;
  p.wish = 100;
}
void lonely_births(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.cores = 1;
  p.clients = 4;
  p.birth_alone = 1000;
  p.cut = 80;
}
void births_at_cores(Profile &p) {
  p.nodes = std::max(p.nodes, 3);
  p.cores = 3;
  p.clients = 4;
  p.move = p.remove = 0;
  p.slow_links = 300;
  p.pause_ms = 10;
}
void removals(Profile &p) {
  p.nodes = std::max(p.nodes, 5);
  p.cores = 1;
  p.remove = 12;
  p.wish = 120;
}

template <class R>
Planted without(const char *interleaving, const char *name, void (*profile)(Profile &)) {
  return {name, interleaving, std::make_shared<R>(), profile};
}

}  // namespace

const std::vector<Planted> &scenarios() {
  static const std::vector<Planted> all{
      without<SyncRemoves>("1", "sync_removes_by_absence", usual),
      without<EvictWhatWasConfirmed>("2", "evict_what_was_confirmed", evictions),
      without<ClientByVersion>("3", "client_row_by_version_alone", lonely_births),
      without<PlacementByLastWriter>("4", "placement_by_last_writer", usual),
      without<EntryReused>("5", "counter_entry_reused", lonely_copies),
      without<LongAwayIsNotTrusted>("6", "long_away_is_not_trusted", short_retention),
      without<SlotLostSilently>("7", "slot_lost_silently", lost_slots),
      without<ReadsElsewhere>("8", "write_at_home_of_what_was_read_elsewhere", forwarding),
      without<NoRecheck>("9", "apply_against_open_delete", open_writers),
      without<InsertUnchecked>("10", "insert_stamped_before_it_waits", open_writers),
      without<DecodedIsEnough>("11", "decoded_is_not_yet_visible", late_commits),
      without<HoldersWithoutGeneration>("12", "holders_without_generation", evictions),
      without<SyncTeachesNobody>("13", "sync_teaches_nobody", usual),
      without<ReceiverFills>("14", "toast_filled_by_receiver", usual),
      without<CounterWithoutBirth>("15", "counter_without_birth", usual),
      without<TwoRegistrars>("16", "two_registrars", joins),
      without<FenceOfTheSnapshot>("17", "fence_of_an_old_snapshot", slow_writers),
      without<NothingIsTooOld>("18", "nothing_is_too_old", short_retention),
      without<ScanTrustsAnswers>("23", "scan_trusts_answers", scans),
      without<AbsentIsEmpty>("24", "absent_is_empty", reads),
      without<IdleUpdateIsNew>("25", "idle_update_is_new", idle_updates),
      without<BirthAloneCounts>("26", "birth_alone_counts", lonely_births),
      without<MoveByEpochAlone>("28", "move_by_epoch_alone", births_at_cores),
      without<ConfirmedByWord>("copies", "confirmed_by_word", lonely_copies),
      without<MoveOwesNobody>("home moves", "move_owes_nobody", moves),
      without<MoveOwesNobody>("node removed", "removal_owes_nobody", removals),
  };
  return all;
}

}  // namespace sim
