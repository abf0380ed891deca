// Who owes whom: a debt (table `peer_debt`) says that a peer lacks changes of a client and will be given the whole client
// by sync. Pure functions of what the database says. The home closes every gap by these rules: whoever holds the client
// got a change from its writer, or the home owes it. A debt too many costs a sync; one too few loses rows.
#pragma once
#include <vector>

#include "core/base/holder.hpp"
#include "core/ship/types.hpp"

namespace vectorshard::ship {

/// The debts of a merge, for one client: the peers that this node owes it from now on. `holders`: those that receive,
/// but for this node and for `from`, removed nodes left out. At the home each holder that the sender did not reach, in
/// that very generation, is owed; all of them if the batch was a sync that taught something. A node that is not the home
/// owes nothing: senders that took it for the home owe the new one themselves once they hear of it (owed_after_move).
std::vector<NodeId> owed_after_merge(bool is_home, BatchKind kind, bool changed, const BatchClient &sent,
                                     const std::vector<HolderRef> &holders);

/// True if the home owes a holder that it hears of by the stream: live in a generation that the home did not know
/// before, so it did not copy from here. `known_generation` 0: no row of it.
bool owed_when_heard_of(bool is_home, bool itself, const HolderStatement &heard, Generation known_generation);

/// What a `client` row says. Home kNoNode: there is none.
struct HomeStatement {
  NodeId home = kNoNode;
  int64_t epoch = 0;
  Version version = 0;
};
/// True if the row heard replaces the one known and names another home: it was moved, or was born on two nodes at once,
/// each of which was its home until it heard of the other. Not by the epoch alone: births all have the same.
bool home_moves(const HomeStatement &heard, const HomeStatement &known);

/// The debts by which a home and the holders of a client come to hold the same again: the home owes all others, every
/// other holder owes the home. For a node where the client is resident, on hearing of either of
/// - another home (home_moves): the new home does not know what the former one forwarded, and what a holder sent to
///   the former one, or the former one wrote itself, may have stayed there;
/// - the removal of a node that held it: what that one sent may have reached one holder, and another not.
std::vector<NodeId> owed_after_move(NodeId self, NodeId home, const std::vector<NodeId> &holders);

/// What to do about a debt to `peer` of a client when its turn comes.
enum class Payment {
  pay,           // read the client and send it
  drop,          // the peer needs nothing any more
  hand_to_home,  // the client has left this node: its home has everything, and takes the debt over
  wait,          // the client has left, and its home is not known here
};
struct DebtStanding {
  bool resident = false;      // here
  NodeId home = kNoNode;
  bool peer_receives = false; // its holder row says copying or live
  bool peer_active = false;
};
Payment payment(const DebtStanding &here, NodeId self, NodeId peer);

/// The peers that the home takes over when a copy leaves: those owed, and every holder while the stream of this node has
/// not reached them all (`shipped` false). Not the home, not this node. `holders`: in any state but gone.
std::vector<NodeId> debts_to_hand_over(const std::vector<NodeId> &owed, const std::vector<NodeId> &holders, bool shipped,
                                       NodeId home, NodeId self);

}  // namespace vectorshard::ship
