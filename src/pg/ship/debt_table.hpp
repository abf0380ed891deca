// The table peer_debt, as the shipper and other stages write it. A debt says that a peer lacks changes of a client
// (table_name empty, or the one table that the peer refused) or of a reference table (client empty).
#pragma once
#include <string>
#include <vector>

#include "core/base/ids.hpp"

namespace vectorshard::ship {

struct Debt {
  NodeId peer = kNoNode;  // kNoNode: the client's home, which is not known yet
  std::string client;
  std::string table;
  std::string error;  // why the peer refused; empty if it just was away
};

/// Records debts in the current transaction. Adding one that exists makes it a new one, so that a payment that is under
/// way does not clear it.
void add_debts(const std::vector<Debt> &debts);

/// The debt of the reference table of this name that stands for "everything is owed": a slot was lost or not there
/// yet. It is written before a slot is made and cleared when all debts stand.
constexpr const char *kEverything = "*";

/// Records that every peer lacks all resident clients and all reference tables with rows written here. In the current
/// transaction; removes the mark kEverything.
void owe_everything();

}  // namespace vectorshard::ship
