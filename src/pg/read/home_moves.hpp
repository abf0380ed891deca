// Scans of all clients of a table of consistency home ask each home for its own clients, each under a snapshot of its own: a home that moves in
// between would be asked by nobody, or by two. Every node counts the steps of its moves (home_event); the count is read before the snapshots are
// taken and again after all of them.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "pg/read/whereabouts.hpp"

namespace vectorshard::read {

class HomeMoves {
 public:
  /// Before the other homes are asked. `snapshot`: of the query, under which this node's own clients are read.
  HomeMoves(const std::vector<HomeNode> &homes, Snapshot snapshot);
  /// Once all have been asked: raises 40001 if a home has moved meanwhile.
  void require_none() const;

 private:
  std::map<NodeId, std::string> before_;
};

}  // namespace vectorshard::read
