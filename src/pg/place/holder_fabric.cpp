// The holder worker among the others: what the limits over the fabric leave it, and what it tells the others of itself.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/wall.hpp"
#include "pg/place/economy.hpp"
#include "pg/place/holder.hpp"

namespace vectorshard::place {

namespace {

constexpr double kTellEveryS = 10, kLookEveryS = 1;
constexpr double kTellEarlyS = 2;  // what the limits of the fabric depend on; fabric_budget.cpp counts on it

int64_t limit_of_bytes() { return int64_t{bridge::guc::max_fabric_bytes} << 20; }
bool limited() { return bridge::guc::max_fabric_copies > 0 || limit_of_bytes() > 0 || bridge::guc::max_fabric_transfers > 0; }

}  // namespace

/// What the others told, and which of the active nodes this one is.
void Holder::look_at_fabric() {
  recount();
  FabricView copies{bridge::guc::max_fabric_copies, 0, 0, 0, 1}, bytes{limit_of_bytes(), 0, 0, 0, 1};
  int64_t nodes = 0, self_at = 0;
  bridge::WorkerTransaction tx;
  {
    bridge::Spi spi;
    const Economy &reckoning = economy(spi);
    auto rows = spi.query_kept("SELECT node FROM vectorshard.node WHERE state = 'active' ORDER BY node");
    nodes = static_cast<int64_t>(rows.size());
    for (size_t i = 0; i < rows.size(); i++)
      if (rows.int8(i, 0) == bridge::self_node()) self_at = static_cast<int64_t>(i);
    for (auto &[node, state] : reckoning.states) {
      if (node == bridge::self_node()) continue;
      copies.others += state.copies;
      bytes.others += state.bytes;
    }
    bytes.unit = reserve_of(static_cast<int64_t>(reckoning.average_bytes));
  }
  tx.commit();
  fabric_at_ = self_at;
  copies.nodes = bytes.nodes = nodes;
  copies.turn = bytes.turn = fabric_turn_to_take(bridge::wall_s(), self_at, nodes);
  fabric_copies_ = copies;
  fabric_bytes_ = bytes;
}

FabricRoom Holder::fabric_room() {
  FabricRoom room;
  if (!limited()) return room;
  look_at_fabric();
  int64_t bytes = bytes_;
  for (auto &[client, reserved] : reserved_) bytes += static_cast<int64_t>(reserved);
  room.copies = fabric_left(fabric_copies_, told_copies_.least(now_s()), copies_ + static_cast<int64_t>(reserved_.size()));
  room.bytes = fabric_left(fabric_bytes_, told_bytes_.least(now_s()), bytes);
  room.transfers = fabric_part(bridge::guc::max_fabric_transfers, fabric_copies_.nodes, fabric_turn(bridge::wall_s(), fabric_at_, fabric_copies_.nodes));
  return room;
}

/// Whether the others are to hear at once what they may not take any more, or may take now.
bool Holder::fabric_should_hear(const NodeState &state) {
  if (!told_ || !limited()) return false;
  look_at_fabric();
  return tells_in_fabric(fabric_copies_, told_->copies, state.copies) || tells_in_fabric(fabric_bytes_, told_->bytes, state.bytes);
}

NodeState Holder::state_now() {
  recount();
  NodeState s;
  s.residents = residents_ + static_cast<int64_t>(reserved_.size());
  s.copies = copies_ + static_cast<int64_t>(reserved_.size());
  s.bytes = bytes_;
  for (auto &[client, reserved] : reserved_) s.bytes += static_cast<int64_t>(reserved);
  s.max_copies = bridge::guc::max_copies_per_node;
  s.max_bytes = int64_t{bridge::guc::max_bytes_per_node} << 20;
  s.max_transfers = bridge::guc::max_transfers;
  size_t busy = 0;
  for (auto &[node, port] : ports_) busy += port->busy();
  s.queue = static_cast<int64_t>(queue_);
  s.queue_s = pace_.queue_s(queue_, busy);
  if (s.full() && !least_valuable().empty()) s.least_value = least_valuable().front().value;
  s.paths = measured_paths();
  return s;
}

void Holder::note_told(const NodeState &state) {
  told_copies_.tell(now_s(), state.copies);
  told_bytes_.tell(now_s(), state.bytes);
}

/// At most every ten seconds, or two near a limit of the fabric, and only what others plan by: the row ships to every node.
void Holder::tell() {
  bool early = now_s() < next_tell_s_;
  if (early && (!limited() || now_s() < next_early_tell_s_)) return;
  try {
    NodeState state = state_now();
    next_early_tell_s_ = now_s() + kLookEveryS;
    bool hear = fabric_should_hear(state);
    if (early && !hear) return;
    bridge::WorkerTransaction tx;
    {
      bridge::Spi spi;
      if (!told_ && (told_ = told_state(spi, bridge::self_node()))) note_told(*told_);  // before this worker was started
      next_tell_s_ = now_s() + kLookEveryS;
      if (told_ && !hear && !notable(*told_, state)) return;
      tell_state(spi, bridge::self_node(), state);
    }
    tx.commit();
    told_ = state;
    note_told(state);
    next_tell_s_ = now_s() + kTellEveryS;
    next_early_tell_s_ = now_s() + kTellEarlyS;
  } catch (const bridge::PgError &e) {
    // The transaction is aborted as a whole by its destructor, so the error may end here: a node in doubt may not stamp.
    ereport(DEBUG1, (errmsg("vectorshard holder: its state is not told: %s", e.message.c_str())));
    next_tell_s_ = now_s() + kTellEveryS;
    next_early_tell_s_ = next_tell_s_;
  }
}

}  // namespace vectorshard::place
