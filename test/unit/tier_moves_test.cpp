// Moves between tiers: every state has one successor, and a crash or an error at any boundary loses nothing.
#include "core/tier/moves.hpp"

#include <gtest/gtest.h>

namespace vectorshard::tier {
namespace {

/// What exists outside the move row, as the steps of src/pg/tier change it, one side effect at a time.
struct World {
  bool fence = false, object = false, segment = false, new_heap = false;
  bool heap_exists = true, heap_attached = true, foreign_attached = false;

  bool readable(Direction d) const {
    (void)d;
    if (heap_attached == foreign_attached) return false;  // neither or both: rows missing or doubled
    if (heap_attached) return heap_exists;
    return object && segment;
  }
};

World hot_world() {
  World w;
  w.object = w.segment = w.foreign_attached = true;
  w.heap_attached = w.heap_exists = false;
  return w;
}

/// The step that leaves `s`: side effects that are not transactional come first, `transactional` the rest.
void outside_effects(Direction d, MoveState s, World &w) {
  if (d == Direction::cold && s == MoveState::settled) w.object = true;
}
void transactional_effects(Direction d, MoveState s, World &w) {
  if (d == Direction::cold) {
    if (s == MoveState::planned) w.fence = true;
    if (s == MoveState::verified) w.segment = true;
    if (s == MoveState::registered) {
      w.heap_attached = false;
      w.foreign_attached = true;
    }
    if (s == MoveState::grace) w.heap_exists = false;
  } else {
    if (s == MoveState::planned) w.new_heap = w.heap_exists = true;
    if (s == MoveState::loaded) {
      w.heap_attached = true;
      w.foreign_attached = w.new_heap = false;
    }
    if (s == MoveState::grace) w.segment = false;
  }
}

World start(Direction d) { return d == Direction::cold ? World{} : hot_world(); }

/// Runs the move, crashing once in the step that leaves `crash_at` (after the outside effects); gives up there if told.
void run(Direction d, MoveState crash_at, bool give_up) {
  World w = start(d);
  MoveState s = MoveState::planned;
  bool crashed = false;
  while (auto next = next_state(d, s)) {
    outside_effects(d, s, w);
    ASSERT_TRUE(w.readable(d));
    if (s == crash_at && !crashed) {
      crashed = true;
      if (!give_up) continue;  // the state is unchanged: the step runs again
      if (on_error(d, s, kMaxAttempts, true) == OnError::retry) continue;
      Leftovers l = leftovers(d, s);
      if (l.fence) w.fence = false;
      if (l.object) w.object = false;
      if (l.segment) w.segment = false;
      if (l.new_heap) w.new_heap = w.heap_exists = false;
      World before = start(d);
      EXPECT_EQ(w.fence, before.fence) << move_state_name(s);
      EXPECT_EQ(w.object, before.object) << move_state_name(s);
      EXPECT_EQ(w.segment, before.segment) << move_state_name(s);
      EXPECT_EQ(w.new_heap, before.new_heap) << move_state_name(s);
      EXPECT_TRUE(w.readable(d)) << move_state_name(s);
      return;
    }
    transactional_effects(d, s, w);
    s = *next;
    ASSERT_TRUE(w.readable(d)) << move_state_name(s);
    EXPECT_EQ(truth(d, s) == Truth::heap, w.heap_attached) << move_state_name(s);
  }
  EXPECT_EQ(s, MoveState::done);
}

TEST(TierMoves, CrashInAnyStateLosesNothing) {
  for (Direction d : {Direction::cold, Direction::hot})
    for (int s = 0; s <= static_cast<int>(MoveState::failed); s++)
      for (bool give_up : {false, true}) run(d, static_cast<MoveState>(s), give_up);
}

TEST(TierMoves, NamesRoundTrip) {
  for (int s = 0; s <= static_cast<int>(MoveState::failed); s++)
    EXPECT_EQ(move_state_of(move_state_name(static_cast<MoveState>(s))), static_cast<MoveState>(s));
  EXPECT_FALSE(move_state_of("moved"));
}

TEST(TierMoves, EndsHaveNoSuccessor) {
  for (Direction d : {Direction::cold, Direction::hot}) {
    EXPECT_FALSE(next_state(d, MoveState::done));
    EXPECT_FALSE(next_state(d, MoveState::failed));
  }
  EXPECT_FALSE(next_state(Direction::hot, MoveState::exported));
}

TEST(TierMoves, GivesUpOnlyBeforeTheSwap) {
  EXPECT_EQ(on_error(Direction::cold, MoveState::exported, 1, false), OnError::retry);
  EXPECT_EQ(on_error(Direction::cold, MoveState::exported, kMaxAttempts, false), OnError::give_up);
  EXPECT_EQ(on_error(Direction::cold, MoveState::planned, 1, true), OnError::give_up);
  EXPECT_EQ(on_error(Direction::cold, MoveState::swapped, 1000, true), OnError::retry);
  EXPECT_EQ(on_error(Direction::hot, MoveState::grace, 1000, true), OnError::retry);
}

}  // namespace
}  // namespace vectorshard::tier
