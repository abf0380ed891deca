// Whether the homes that answered a question about all clients agreed on whose clients were whose. Each answers for the clients whose
// home it is under a snapshot of its own: a home that moves in between would be answered for by two nodes, or by none. So each tells,
// under the same snapshot, what it knows of the homes that moved lately. It must never call homes settled of which one is not.
#pragma once
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/ids.hpp"
#include "core/base/result.hpp"

namespace vectorshard::read {

/// What a node tells of a client whose home was its own lately, or is to be another's: its row of `client` under the snapshot, and
/// either the step that it noted, or the node that it has asked to be home and that has not answered yet.
struct HomeMark {
  std::string client;
  int64_t epoch = 0;
  NodeId home = kNoNode;
  NodeId taken_from = kNoNode;  // the step: it took the home from there,
  int64_t taken = 0;            // for this epoch
  NodeId asked = kNoNode;
  bool fresh = false;  // what the other node did about it cannot be so old that it does not tell of it any more
};

/// "epoch home taken_from taken asked fresh client", as home_marks() writes it.
Result<HomeMark> parse_home_mark(std::string_view text);

enum class Homes {
  settled,  // each client was answered for once
  moving,   // perhaps not: the same question is to be asked again
  came,     // a client whose home is the asker now was answered for by nobody, and the asker's snapshot does not have it
};

/// `answers`: of every node that was asked, which the asker is not. `reads_here`: the asker has the client's rows under its own
/// snapshot; what others answer of it is thrown away then. `home_now`: the home that the asker knows now.
Homes judge_homes(const std::map<NodeId, std::vector<HomeMark>> &answers, NodeId asker, const std::function<bool(const std::string &)> &reads_here,
                  const std::function<NodeId(const std::string &)> &home_now);

}  // namespace vectorshard::read
