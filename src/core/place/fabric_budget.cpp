// Limits over the whole fabric: see fabric_budget.hpp.
#include "core/place/fabric_budget.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace vectorshard::place {

namespace {

constexpr double kHeardS = 4;  // what was told is known to every node that answers, and reckoned with
constexpr double kSkewS = 2;
constexpr double kTellS = 3;   // who took what others may take is about to tell; at most so late
constexpr double kTakeS = 4;
// Who has the turn takes in [kSkewS, kSkewS + kTakeS); before the next may, all have heard of it.
constexpr double kTurnS = kSkewS + kTakeS + kTellS + kHeardS;

/// What each may take at any time. A quarter of the room for all: while it is told, others may take as much again, and again.
int64_t even_part(int64_t room, int64_t nodes) { return room / (4 * std::max<int64_t>(1, nodes)); }

int64_t units(const FabricView &v, int64_t amount) { return amount / std::max<int64_t>(1, v.unit); }

int64_t share(const FabricView &v, int64_t least_told) {
  int64_t room = std::max<int64_t>(0, v.limit - v.others - least_told);
  return fabric_share(units(v, room), 0, v.nodes, v.turn) * std::max<int64_t>(1, v.unit);
}

}  // namespace

int64_t fabric_share(int64_t limit, int64_t known, int64_t nodes, int64_t turn) {
  int64_t room = std::max<int64_t>(0, limit - known);
  if (nodes <= 1) return room;
  int64_t part = even_part(room, nodes);
  return part + (turn == 0 ? (room - nodes * part + 1) / 2 : 0);
}

int64_t fabric_part(int64_t limit, int64_t nodes, int64_t turn) {
  if (limit <= 0) return std::numeric_limits<int64_t>::max();
  return std::max<int64_t>(1, limit / std::max<int64_t>(1, nodes) + (turn < limit % std::max<int64_t>(1, nodes) ? 1 : 0));
}

int64_t fabric_turn(double wall_s, int64_t self_at, int64_t nodes) {
  return (self_at + static_cast<int64_t>(std::floor(wall_s / kTurnS))) % std::max<int64_t>(1, nodes);
}

int64_t fabric_turn_to_take(double wall_s, int64_t self_at, int64_t nodes) {
  double within_s = wall_s - std::floor(wall_s / kTurnS) * kTurnS;
  if (within_s < kSkewS || within_s >= kSkewS + kTakeS) return nodes;
  return fabric_turn(wall_s, self_at, nodes);
}

void Told::tell(double now_s, int64_t value) {
  // Of what all have heard the newest is kept.
  while (told_.size() > 1 && told_[1].at_s + kHeardS <= now_s) told_.erase(told_.begin());
  told_.push_back({now_s, value});
}

int64_t Told::least(double now_s) const {
  int64_t out = std::numeric_limits<int64_t>::max();
  for (auto it = told_.rbegin(); it != told_.rend(); ++it) {
    out = std::min(out, it->value);
    if (it->at_s + kHeardS <= now_s) break;
  }
  return out;
}

int64_t fabric_left(const FabricView &view, int64_t least_told, int64_t now) {
  if (view.limit <= 0) return std::numeric_limits<int64_t>::max();
  return share(view, least_told) - std::max<int64_t>(0, now - least_told);
}

bool tells_in_fabric(const FabricView &view, int64_t told, int64_t now) {
  if (view.limit <= 0) return false;
  int64_t room = std::max<int64_t>(0, view.limit - view.others - told);
  int64_t half = (view.nodes > 1 ? even_part(room, view.nodes) : room) / 2;
  // What was taken of the rest is told however little it is.
  if (now > told) return now - told >= std::max<int64_t>(1, half);
  return told - now >= std::max({int64_t{1}, view.unit, half});
}

}  // namespace vectorshard::place
