// Limits over the whole fabric: what one node may take by what it knows of the others, though what it knows is seconds old. Pure.
// Together the nodes never take more than the limit as long as what a node tells is heard within kHeardS, by clocks no further
// apart than kSkewS; nothing here asks anybody.
#pragma once
#include <cstdint>
#include <vector>

namespace vectorshard::place {

/// How much of `limit` a node may take beyond what is `known`, until it hears more: each an equal part of a quarter of the room, at any
/// time, and whose `turn` is 0 half of the rest. So what others take before they hear of it has room too. Alone: all of it.
int64_t fabric_share(int64_t limit, int64_t known, int64_t nodes, int64_t turn);

/// How many of `limit` each node may have under way at once: a fixed part, whatever the others do, and at least one.
int64_t fabric_part(int64_t limit, int64_t nodes, int64_t turn);

/// Whose turn it is, by the wall clock: 0 to nodes - 1, each number at another node.
int64_t fabric_turn(double wall_s, int64_t self_at, int64_t nodes);
/// The same, but `nodes` where what the last one took in its turn may not be known to all: nobody's turn.
int64_t fabric_turn_to_take(double wall_s, int64_t self_at, int64_t nodes);

/// Something of which the fabric has a limit, as one node sees it; a limit of 0 is none.
struct FabricView {
  int64_t limit = 0;
  int64_t others = 0;  // what the others told
  int64_t nodes = 1;
  int64_t turn = 0;
  int64_t unit = 1;    // what is taken at once, more or less; the same at every node
};

/// A number that this node tells the others now and then, with what it was shortly before: some may not have heard yet.
class Told {
 public:
  void tell(double now_s, int64_t value);
  /// The least that anybody believes.
  int64_t least(double now_s) const;

 private:
  struct At {
    double at_s;
    int64_t value;
  };
  std::vector<At> told_{{-1e18, 0}};  // never empty; at first nobody has heard anything
};

/// What this node may take, having `now`; below 1: nothing.
int64_t fabric_left(const FabricView &view, int64_t least_told, int64_t now);

/// Whether the others should hear what it has `now`: it took half of what each may take at any time, or gave back as much.
bool tells_in_fabric(const FabricView &view, int64_t told, int64_t now);

}  // namespace vectorshard::place
