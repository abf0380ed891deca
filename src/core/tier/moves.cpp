// The state machine of a partition's move: see moves.hpp.
#include "core/tier/moves.hpp"

#include <array>
#include <algorithm>

namespace vectorshard::tier {

namespace {

constexpr std::array<const char *, 11> kNames = {"planned",    "fenced",  "settled", "exported", "verified", "registered",
                                                 "swapped",    "loaded",  "grace",   "done",     "failed"};
constexpr std::array kCold = {MoveState::planned,  MoveState::fenced,     MoveState::settled, MoveState::exported,
                              MoveState::verified, MoveState::registered, MoveState::swapped, MoveState::grace,
                              MoveState::done};
constexpr std::array kHot = {MoveState::planned, MoveState::loaded, MoveState::swapped, MoveState::grace,
                             MoveState::done};

template <size_t N>
std::optional<MoveState> after(const std::array<MoveState, N> &order, MoveState state) {
  auto it = std::find(order.begin(), order.end(), state);
  if (it == order.end() || ++it == order.end()) return std::nullopt;
  return *it;
}

bool swapped_or_later(MoveState s) {
  return s == MoveState::swapped || s == MoveState::grace || s == MoveState::done;
}

}  // namespace

const char *move_state_name(MoveState state) { return kNames[static_cast<size_t>(state)]; }

std::optional<MoveState> move_state_of(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); i++)
    if (name == kNames[i]) return static_cast<MoveState>(i);
  return std::nullopt;
}

std::optional<MoveState> next_state(Direction direction, MoveState state) {
  return direction == Direction::cold ? after(kCold, state) : after(kHot, state);
}

Truth truth(Direction direction, MoveState state) {
  bool moved = swapped_or_later(state);
  return (direction == Direction::cold) == moved ? Truth::object : Truth::heap;
}

Leftovers leftovers(Direction direction, MoveState state) {
  Leftovers l;
  if (swapped_or_later(state) || state == MoveState::failed) return l;
  if (direction == Direction::hot) {
    l.new_heap = state == MoveState::loaded;
    return l;
  }
  // The step that leaves a state may have been cut off after its side effect: the object counts from settled on.
  l.fence = state != MoveState::planned;
  l.object = l.fence && state != MoveState::fenced;
  l.segment = state == MoveState::registered;
  return l;
}

OnError on_error(Direction direction, MoveState state, int attempts, bool permanent) {
  (void)direction;
  if (swapped_or_later(state)) return OnError::retry;
  if (permanent || attempts >= kMaxAttempts) return OnError::give_up;
  return OnError::retry;
}

}  // namespace vectorshard::tier
