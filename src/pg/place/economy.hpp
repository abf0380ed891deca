// What placement reckons with, read from the tables of the fabric: what nodes say of themselves, prices, how long stores take to
// give rows back. Read anew every second or so; the navigator, explain_placement() and the holder worker use it.
#pragma once
#include <map>
#include <vector>

#include "core/place/budget.hpp"
#include "core/place/value.hpp"
#include "pg/bridge/spi.hpp"

namespace vectorshard::place {

struct Economy {
  std::map<NodeId, NodeState> states;
  std::map<std::string, double, std::less<>> store_thaw_s;  // by store
  std::map<NodeId, double> thaw_s;  // by home: the slowest store that its cold clients lie in; kNoNode: of all stores
  std::vector<PriceRow> prices;
  double average_bytes = 0;    // of a copy; 0: not known
  int64_t fabric_copies = 0, fabric_bytes = 0;
  Price edge, home, cold;

  bool fabric_full() const;
  /// How long a copy of a client of `bytes` (0: not known) takes to a node; clients' seconds. `thaw_s`: what its store takes.
  double lead_to(NodeId target, NodeId home, double bytes, double thaw_s) const;
  /// How long `store` takes to give back a client that lies there; clients' seconds. Of a store that is not known: as thaw_at_most.
  double thaw_of(NodeId home, std::string_view store) const;
  /// The same of a client of this home that lies, or will lie, in any store.
  double thaw_at_most(NodeId home) const;
  /// What is particular to a client as a copy on `target`.
  double miss_at(NodeId target, NodeId home, double bytes) const;
  double price_of(double bytes) const { return price_factor(edge, bytes, average_bytes); }

 private:
  const Path *path(NodeId target, NodeId source) const;
};

/// Valid until the next call in this backend. Needs an open transaction with rights on the fabric's tables.
const Economy &economy(bridge::Spi &spi);

/// A node's state as it stands in the table; nullopt: it never said anything.
std::optional<NodeState> told_state(bridge::Spi &spi, NodeId node);
void tell_state(bridge::Spi &spi, NodeId node, const NodeState &state);

}  // namespace vectorshard::place
