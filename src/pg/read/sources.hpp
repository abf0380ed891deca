// Which node answers for clients that a query names and that are not here: the home, as long as it is near or nobody with
// a live copy is much nearer; a holder where the home is far or does not answer. What this session has changed at a home it
// reads there for a while, so that it sees its own writes. Must never make two nodes answer for one client.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/ids.hpp"

namespace vectorshard::read {

/// One question: the rows of `clients`, at their home or at a holder of a copy (which may have let them go meanwhile).
struct Ask {
  NodeId node = kNoNode;
  bool is_home = true;
  std::vector<std::string> clients;
};

class Sources {
 public:
  Sources() = default;
  /// `homes`: clients by home. `home_alone`: no copy will do (rows are locked, or to be changed).
  Sources(std::map<NodeId, std::vector<std::string>> homes, bool home_alone);

  /// Whom to ask first; every client in one question.
  std::vector<Ask> first();
  /// Whom to ask next, when `failed` was not answered. Clients that nobody else has are added to `left`.
  std::vector<Ask> next(const Ask &failed, std::vector<std::string> *left);

 private:
  NodeId best(const std::string &client, NodeId home, const std::vector<NodeId> &holders) const;
  std::vector<Ask> grouped(const std::vector<std::string> &clients, std::vector<std::string> *left);

  std::map<std::string, NodeId> home_of_;
  bool home_alone_ = false;
  std::map<std::string, std::set<NodeId>> tried_;
};

/// This session changes `client` at its home: see above.
void note_changed_at_home(const std::string &client);

}  // namespace vectorshard::read
