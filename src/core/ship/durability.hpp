// What a commit waits for that asked for more than its own node: every client it wrote must be flushed at the client's
// home, or at so many other holders. Counts the rows of such transactions on their way to each peer. It must never say
// "reached" while a row that counts is neither acknowledged nor gone.
#pragma once
#include <cstdint>
#include <map>
#include <vector>

#include "core/base/ids.hpp"
#include "core/ship/pgoutput.hpp"
#include "core/ship/router.hpp"

namespace vectorshard::ship {

enum class DurabilityLevel : uint8_t {
  local = 0,   // nobody but this node
  home = 1,    // the home of every client; one other node for rows without a client
  quorum = 2,  // `holders` other nodes for every client
};

struct Demand {
  DurabilityLevel level = DurabilityLevel::local;
  uint32_t holders = 1;  // 1..kNodeMax; of quorum
};

struct Verdict {
  uint32_t key = 0;     // as given to watch()
  bool reached = false;  // false: it cannot be known that it will be; `client` says which, `peer` where (kNoNode: unknown)
  ClientName client;
  NodeId peer = kNoNode;
};

class DurabilityTracker {
 public:
  /// `transaction` (start of its commit record) is waited for under `key`.
  void watch(Lsn transaction, uint32_t key, Demand demand);
  bool watches(Lsn transaction) const { return transactions_.contains(transaction); }
  bool idle() const { return transactions_.empty(); }

  /// A row of `client` goes to these targets: one that is none of Router's nodes (kNoNode) counts as lost.
  void routed(Lsn transaction, const ClientName &client, const std::vector<Target> &targets);
  /// All rows of the transaction are routed.
  void complete(Lsn transaction);
  /// `rows` of them are flushed at the peer. Transactions that are not watched (any more) are passed over, here and below.
  void flushed(Lsn transaction, const ClientName &client, NodeId peer, uint32_t rows);
  /// Rows of them became debt: nobody tells when the peer has them.
  void lost(Lsn transaction, const ClientName &client, NodeId peer);

  /// What is decided since the last call; those transactions are forgotten.
  std::vector<Verdict> take_verdicts();

 private:
  struct AtPeer {
    uint64_t open = 0;
    bool as_home = false;
    bool lost = false;
    bool has_all() const { return open == 0 && !lost; }
  };
  struct Client {
    std::map<NodeId, AtPeer> peers;  // none `as_home`: this node is the home
  };
  struct Transaction {
    uint32_t key = 0;
    Demand demand;
    bool complete = false;
    std::map<ClientName, Client> clients;
  };
  enum class Standing { open, reached, failed };
  static Standing standing(const Transaction &t, const ClientName &name, const Client &client, NodeId *peer);
  void judge(Lsn transaction);

  std::map<Lsn, Transaction> transactions_;
  std::vector<Verdict> verdicts_;
};

}  // namespace vectorshard::ship
