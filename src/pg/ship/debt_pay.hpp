// Paying debts: the full state of a client (or a reference table) for a peer that lacks changes of it. It reads only what
// is resident here in the very snapshot it reads; a client that has left this node is its home's to pay.
#pragma once
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "pg/ship/peer.hpp"
#include "pg/ship/range_asker.hpp"
#include "pg/ship/walk.hpp"

namespace vectorshard::ship {

class DebtPayer {
 public:
  /// Gives debts a peer where the home was not known when they were made. True if there are debts at all.
  bool assign_homes();
  /// Reads the oldest debts of a ready peer that are due, as shipments, as long as the peer has room. Each transaction of
  /// its own. Outside a transaction.
  void pay(Peer &peer);
  /// A peer was being asked for digests when pay() was called last: call it again in a moment.
  bool asking() const { return asking_; }
  /// What became of a payment, in the current transaction: the debt is deleted, or kept with the reason and tried later.
  void settle(NodeId peer, const Delivered &payment);

 private:
  struct Wait {
    int64 until_us = 0;
    int tries = 0;
  };
  /// A payment too large for one batch: ranges of keys that the peer has already are left out.
  struct LongPayment {
    DueDebt debt;  // as it stood when the payment began
    Walk walk;
    std::deque<bridge::KeyRange> ranges;
    std::vector<std::string> digests;  // of `ranges`, here; while the peer is asked
    std::deque<bool> equal;            // of `ranges`, once it has answered
  };
  using Key = std::pair<NodeId, std::pair<std::string, std::string>>;
  std::vector<DueDebt> due(NodeId peer) const;
  std::optional<Shipment> read(NodeId peer, const DueDebt &debt);
  void pause(NodeId peer, const DueDebt &debt, const Refusal &refusal, bool &refused);
  std::optional<Shipment> read_portion(NodeId peer, LongPayment &payment);
  bool compare(NodeId peer, LongPayment &payment);
  Shipment shipment(NodeId peer, const DueDebt &debt, Batch batch) const;
  bool hand_to_home(NodeId peer, const std::string &client);
  void put_off(NodeId peer, const DueDebt &debt, const std::string &why);
  static void clear(NodeId peer, const DueDebt &debt);
  void give_up(const Key &key);
  void forget(NodeId peer, const std::vector<DueDebt> &but);

  std::map<Key, Wait> waits_;
  std::map<std::pair<NodeId, std::string>, int64> paused_until_;  // tables that peers do not take
  std::map<Key, LongPayment> long_;
  std::map<NodeId, RangeAsker> askers_;
  bool asking_ = false;
};

}  // namespace vectorshard::ship
