// Which clients' rows this node reads itself, to be told to other homes that answer with more, or less, than rows: there a client
// that counts twice cannot be sorted out afterwards.
//
// Under one snapshot a client is read here or not. Whether another node takes itself for its home is decided there, later: so not
// only copies are named, but whatever may have another home by then. A home that moves away from here says so here before the other
// node can think it has it (home_move.asked), and afterwards the client's epoch is above 1; what happened while the others were
// asked is seen by looking again.
#pragma once
#include <set>
#include <string>

#include "pg/bridge/postgres.hpp"
extern "C" {
#include "utils/snapshot.h"
}

namespace vectorshard::read {

class ClientsHere {
 public:
  /// `homes_alone`: of a table whose copies do not count (home_tables.hpp).
  ClientsHere(Snapshot snapshot, bool homes_alone);
  /// Those that other homes must leave out.
  const std::set<std::string> &names() const { return names_; }
  /// True if one that was not named may have got another home since.
  bool moved();

 private:
  std::set<std::string> moving() const;
  bool read_here(const std::string &client) const;
  Snapshot snapshot_;
  bool homes_alone_;
  std::set<std::string> names_;
};

}  // namespace vectorshard::read
