// The state machine of a partition's move between tiers: which state follows, what an error or a crash in each state
// means, and which copy of the rows is the truth. Pure: src/pg/tier/partition_*.cpp does the work of each state in a
// transaction that also writes the new state, so a crash leaves either the old state or the new one.
#pragma once
#include <optional>
#include <string_view>

namespace vectorshard::tier {

/// States of a move to cold, in order; a move to hot uses planned, loaded, swapped, grace, done.
enum class MoveState {
  planned,
  fenced,      // writes to the partition are refused
  settled,     // no snapshot is left that could see older versions of its rows
  exported,    // the object is in the store
  verified,    // it was read back and is equal
  registered,  // the segment is in the manifest
  swapped,     // the foreign table is the partition, the heap is detached
  loaded,      // (to hot) the new heap holds the rows, not yet attached
  grace,       // the old copy is kept for a while
  done,
  failed,      // taken back: the partition is as it was before
};
enum class Direction { cold, hot };

const char *move_state_name(MoveState state);
std::optional<MoveState> move_state_of(std::string_view name);

/// The state after `state`; none after done and failed.
std::optional<MoveState> next_state(Direction direction, MoveState state);

/// Which copy queries read in this state.
enum class Truth { heap, object };
Truth truth(Direction direction, MoveState state);

/// What a move that stands in `state` left behind, which must be undone if it is given up there.
struct Leftovers {
  bool fence = false;     // triggers on the partition
  bool object = false;    // an object in the store (maybe)
  bool segment = false;   // a live row in the manifest
  bool new_heap = false;  // (to hot) made, not attached
};
Leftovers leftovers(Direction direction, MoveState state);

/// What to do after an error in the step that leaves `state`.
enum class OnError { retry, give_up };
/// `permanent`: trying again cannot help (not eligible any more). From swapped on there is no way back: only retry.
OnError on_error(Direction direction, MoveState state, int attempts, bool permanent);

/// Attempts of one step before a move is taken back.
constexpr int kMaxAttempts = 20;

}  // namespace vectorshard::tier
