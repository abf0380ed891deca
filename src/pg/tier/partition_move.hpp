// Moving partitions between heap and store, step by step: see core/tier/moves.hpp for the states and what each
// guarantees. Every step is a transaction that also writes the next state, so a crash leaves one state or the other.
#pragma once
#include <map>
#include <string>

#include "core/tier/moves.hpp"
#include "pg/tier/manifest.hpp"

namespace vectorshard::tier {

/// A row of tier_move.
struct PartitionMove {
  int64_t move = 0;
  Direction direction = Direction::cold;
  MoveState state = MoveState::planned;
  std::string subject, store, segment;
  Oid relid = InvalidOid;   // the partition: heap to cold, foreign table to hot
  Oid heap = InvalidOid;    // to hot: the new heap, once it is loaded
  uint64_t fence_xid = 0;   // snapshots that are older may see other rows
  double grace_left_s = 0;  // in state grace
  bool paused = false;      // by its policy
  bool written = false;     // by somebody since it was fenced (60_tier_fence.sql)
};

class PartitionMoves {
 public:
  /// Takes every unfinished move as far as it goes now. Gives the milliseconds until one may go on, -1: none waits.
  long run();

 private:
  enum class Step { moved, wait };
  Step step(const PartitionMove &m);
  Step step_cold(const PartitionMove &m);
  Step step_hot(const PartitionMove &m);
  void advance(const PartitionMove &m, const char *sql);
  void export_rows(const PartitionMove &m);
  void verify(const PartitionMove &m);
  void register_segment(const PartitionMove &m);
  void export_again(const PartitionMove &m);
  void failed(const PartitionMove &m, int sqlstate, const std::string &error);
  void give_up(const PartitionMove &m, const char *state = "failed");
  bool held(const PartitionMove &m);
  void yield(const PartitionMove &m);

  std::map<int64_t, NewSegment> exported_;  // what this process wrote; after a restart it is written again
  std::map<int64_t, double> not_before_s_;  // moves that wait after an error
};

}  // namespace vectorshard::tier
