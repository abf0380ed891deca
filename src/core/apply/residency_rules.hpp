// Who takes rows of a client: the decisions about residency, as pure functions of what the database says under a fresh
// snapshot. The callers hold the client's fence; a wrong answer here splits or loses rows.
#pragma once
#include "core/base/holder.hpp"

namespace vectorshard::apply {

/// What a node knows of a client that it is asked about.
struct Standing {
  bool resident = false;
  bool leaving = false;      // the fence is closed: nothing is written any more until the eviction ends
  bool cold = false;         // this is the home, and the rows are in a store
  HolderState own = HolderState::none;  // state of this node's own holder row
  NodeId home = kNoNode;     // kNoNode: not known here
};

enum class Receipt {
  take,             // merge its rows
  become_resident,  // this is its home and nothing is here: make it resident, then merge
  copying,          // refuse: about to hold it, or letting it go; come again
  cold,             // refuse: it is being brought back from the store
  gone,             // refuse: not held here
};

/// What a receiver does with the rows of a client in a stream or sync. A batch that is not taken adds nothing.
Receipt receipt(const Standing &here, NodeId self);

enum class Write {
  go,       // resident
  fetch,    // not resident, and the statement may wait until it is (INSERT)
  absent,   // 40001: the row that the statement found is being evicted
  leaving,  // 40001: the client is leaving this node
};

/// What a local writer may do, by residency under a snapshot of its own (never that of the statement).
constexpr Write may_write(bool resident, bool leaving, bool may_fetch) {
  if (resident) return leaving ? Write::leaving : Write::go;
  return may_fetch ? Write::fetch : Write::absent;
}

/// True if the sender of a batch is believed: a removed node is not, nor one in an earlier life than is known here (it
/// was restored from a backup, or is a copy). A node whose row has not arrived yet is.
constexpr bool believed(bool known, bool removed, int64_t known_incarnation, int64_t incarnation) {
  return !known || (!removed && incarnation >= known_incarnation);
}

}  // namespace vectorshard::apply
