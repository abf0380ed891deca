// The rules of the fabric as the simulated nodes ask for them. Each default calls the function of src/core that the server
// calls at the same place; planted.cpp overrides one at a time with a wrong rule, to see that it is caught. A rule that
// has no function in core is one that the server keeps by the order of its statements; then the comment says where.
#pragma once
#include <set>

#include "core/apply/residency_rules.hpp"
#include "core/apply/rules.hpp"
#include "core/place/handshake.hpp"
#include "core/ship/debt_rules.hpp"
#include "core/ship/reply_rules.hpp"
#include "facts.hpp"

namespace sim {

class Rules {
 public:
  virtual ~Rules() = default;

  // Merging
  virtual bool beats(Version in, Version here, NodeId /*applier*/) const { return apply::beats({0, in}, {0, here}); }
  virtual bool client_beats(const apply::Rank &in, const apply::Rank &here) const { return apply::beats(in, here); }
  virtual bool ends(Version tombstone, Version row) const { return apply::ends(tombstone, row); }
  virtual bool too_old(Version version, Version here, Version horizon) const { return apply::too_old(version, here, horizon); }
  virtual bool takes_any_age(bool copy, bool full_state, bool from_home, Version made, Version horizon) const {
    return apply::takes_any_age(copy, full_state, from_home, made, horizon);
  }
  virtual bool may_collect(bool kept_long_enough, Version version, Version horizon, bool owed) const {
    return apply::may_collect(kept_long_enough, version, horizon, owed);
  }
  virtual bool died_meanwhile(Version stamped, Version tombstone) const { return apply::died_meanwhile(stamped, tombstone); }
  /// The counters of two states of a row. Which of them won by version must not matter.
  virtual apply::Counter merge_counters(const apply::Counter &winner, const apply::Counter &loser) const {
    return apply::merge(winner, loser);
  }
  /// A tombstone that the row outlived ends the life of its counter.
  virtual apply::Counter ended(const apply::Counter &counter, Version tombstone) const { return apply::ended(counter, tombstone); }
  /// Under whose entry this node adds: never the same after a return, a restore, a new life of the number.
  virtual apply::EntryKey entry(NodeId node, int64_t incarnation, Generation generation) const {
    return {node, incarnation, generation};
  }
  /// pg: the second statement of write_rows.
  virtual bool rechecks_tombstones() const { return true; }
  /// pg: the shipper's fill_from_row; the receiver never fills.
  virtual bool sender_fills() const { return true; }
  /// pg: row_trigger, an UPDATE that changes nothing.
  virtual bool idle_update_keeps_version() const { return true; }
  virtual bool delete_leaves_tombstone() const { return true; }
  virtual bool sync_removes_absent() const { return false; }
  /// pg: the fence asks under a snapshot of its own, not the transaction's.
  virtual bool fence_sees_now() const { return true; }

  // Residency
  virtual apply::Receipt receipt(const apply::Standing &here, NodeId self) const { return apply::receipt(here, self); }
  virtual bool believed(bool known, bool removed, int64_t known_incarnation, int64_t incarnation) const {
    return apply::believed(known, removed, known_incarnation, incarnation);
  }

  // Debts
  virtual std::vector<NodeId> owed_after_merge(bool is_home, ship::BatchKind kind, bool changed, const ship::BatchClient &sent,
                                               const std::vector<ship::HolderRef> &holders) const {
    return ship::owed_after_merge(is_home, kind, changed, sent, holders);
  }
  virtual bool owed_when_heard_of(bool is_home, bool itself, const HolderStatement &heard, Generation known) const {
    return ship::owed_when_heard_of(is_home, itself, heard, known);
  }
  virtual bool home_moves(const ship::HomeStatement &heard, const ship::HomeStatement &known) const {
    return ship::home_moves(heard, known);
  }
  virtual std::vector<NodeId> owed_after_move(NodeId self, NodeId home, const std::vector<NodeId> &holders) const {
    return ship::owed_after_move(self, home, holders);
  }
  virtual ship::AfterRefusal after_refusal(ship::RefusalReason reason, bool as_home) const {
    return ship::after_refusal(reason, as_home);
  }
  virtual ship::Payment payment(const ship::DebtStanding &here, NodeId self, NodeId peer) const {
    return ship::payment(here, self, peer);
  }
  virtual std::vector<NodeId> debts_to_hand_over(const std::vector<NodeId> &owed, const std::vector<NodeId> &holders,
                                                 bool shipped, NodeId home, NodeId self) const {
    return ship::debts_to_hand_over(owed, holders, shipped, home, self);
  }
  /// pg: Shipper::relieve and failures: what is not delivered becomes debt.
  virtual bool undelivered_is_owed() const { return true; }
  /// pg: Slot::open, mark_everything.
  virtual bool lost_slot_owes_all() const { return true; }
  /// pg: wait_decoded_visible before routes are read.
  virtual bool routes_what_is_visible() const { return true; }
  /// A node that was away for longer than tombstones are kept delivers what it wrote.
  virtual bool long_away_delivers() const { return true; }

  // Copy, eviction, home
  virtual place::Answer answer_to_announcement(const place::AskedStanding &here, NodeId self) const {
    return place::answer_to_announcement(here, self);
  }
  virtual place::Answer answer_to_leaver(const place::AskedStanding &here, NodeId self, int64_t epoch, bool holds_all) const {
    return place::answer_to_leaver(here, self, epoch, holds_all);
  }
  virtual bool confirms(const place::AskedStanding &here, NodeId self, bool same_digest) const { return place::confirms(here, self, same_digest); }
  virtual bool replaces(const HolderStatement &said, const HolderStatement &known) const { return vectorshard::replaces(said, known); }
  virtual bool asks_home_to_leave() const { return true; }
  virtual bool eviction_leaves_tombstones() const { return false; }
  virtual bool planner_writes_holders() const { return false; }
  /// pg: birth_alone, a client born while no core node answers.
  virtual int64_t epoch_of_birth_alone() const { return 0; }

  // Reading and joining
  /// pg: forwarded UPDATE and DELETE run at the home from the reading to the commit.
  virtual bool forwards_reading_too() const { return true; }
  virtual bool scan_follows_moves() const { return true; }
  virtual bool absent_is_not_empty() const { return true; }
  virtual bool one_registrar() const { return true; }
};

}  // namespace sim
