// The connections to one peer: see peer.hpp.
#include "pg/ship/peer.hpp"

#include "pg/bridge/gucs.hpp"

namespace vectorshard::ship {

namespace {
constexpr size_t kForMuch = 2;
}

Peer::Peer(PeerRow row) : row_(std::move(row)) { follow_setting(); }

/// The number of connections changes while nothing waits, so that each client's changes stay in one queue.
void Peer::follow_setting() {
  auto wanted = static_cast<size_t>(bridge::guc::peer_connections);
  if (wanted == 0) wanted = much_ ? kForMuch : 1;
  if (lanes_.size() == wanted) return;
  if (!std::all_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->idle(); })) return;
  while (lanes_.size() > wanted) lanes_.pop_back();
  while (lanes_.size() < wanted) lanes_.push_back(std::make_unique<Lane>(row_));
}

void Peer::expect(bool much) {
  much_ = much;
  follow_setting();
}

Lane &Peer::lane(const ClientName &client) const {
  return *lanes_[client.empty() || lanes_.size() == 1 ? 0 : std::hash<ClientName>{}(client) % lanes_.size()];
}

bool Peer::ready() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->ready(); });
}

bool Peer::working() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->working(); });
}

bool Peer::unflushed() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->unflushed(); });
}

void Peer::flush_soon() {
  for (auto &lane : lanes_) lane->flush_soon();
}

bool Peer::wants_connection() const {
  return std::any_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->wants_connection(); });
}

void Peer::begin() {
  for (auto &lane : lanes_)
    if (lane->wants_connection()) lane->begin();
}

void Peer::give_up(const std::string &why) {
  for (auto &lane : lanes_) lane->give_up(why);
}

bool Peer::has_room() const {
  return std::all_of(lanes_.begin(), lanes_.end(), [](auto &lane) { return lane->has_room(); });
}

size_t Peer::stream_bytes() const {
  size_t bytes = 0;
  for (auto &lane : lanes_) bytes += lane->stream_bytes();
  return bytes;
}

Lsn Peer::oldest() const {
  Lsn oldest = 0;
  for (auto &lane : lanes_)
    if (Lsn lsn = lane->oldest(); lsn != 0 && (oldest == 0 || lsn < oldest)) oldest = lsn;
  return oldest;
}

std::vector<Shipment> Peer::take_unsent() {
  std::vector<Shipment> out;
  for (auto &lane : lanes_)
    for (Shipment &s : lane->take_unsent()) out.push_back(std::move(s));
  return out;
}

/// A batch made after a greeting must not overtake it over another connection: it says that this node's WAL is further than
/// the greeting does, and the peer would take the greeting for one of a server restored from the past.
void Peer::pump(std::vector<Delivered> &out) {
  follow_setting();
  auto greeting = [&](const Lane *but) {
    return std::any_of(lanes_.begin(), lanes_.end(), [&](auto &l) { return l.get() != but && l->greeting(); });
  };
  bool held;
  do {
    held = false;
    for (auto &lane : lanes_) {
      bool hold = greeting(lane.get());
      held = held || hold;
      lane->pump(out, hold);
    }
  } while (held && !greeting(nullptr));
}

PeerStatus Peer::status() const {
  PeerStatus s{};
  s.node = row_.node;
  s.connected = ready();
  s.oldest_commit = oldest();
  for (auto &lane : lanes_) lane->add_to(s);
  return s;
}

}  // namespace vectorshard::ship
