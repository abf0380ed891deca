// Rules of the holder: see keep.hpp.
#include "core/place/keep.hpp"

#include <algorithm>

namespace vectorshard::place {

bool may_let_go(const HeldCopy &held, NodeId self, double now_s, double keep_s) {
  if (held.home == kNoNode || held.home == self || held.leaving || held.under_way) return false;
  if (held.wished_until_s > now_s) return false;
  return now_s - std::max(held.since_s, held.wished_until_s) >= keep_s;
}

size_t copies_admitted(size_t wanted, size_t resident, size_t in_flight, size_t max_copies) {
  size_t taken = resident + in_flight;
  return taken >= max_copies ? 0 : std::min(wanted, max_copies - taken);
}

bool PeerBackOff::ready(NodeId peer, double now_s) const {
  auto it = waits_.find(peer);
  return it == waits_.end() || it->second.until_s <= now_s;
}

void PeerBackOff::failed(NodeId peer, double now_s) {
  Wait &w = waits_[peer];
  w.length_s = w.length_s > 0 ? std::min(2 * w.length_s, most_s_) : first_s_;
  w.until_s = now_s + w.length_s;
}

double PeerBackOff::next_ready_s(double none_s) const {
  double first = none_s;
  for (auto &[peer, wait] : waits_) first = std::min(first, wait.until_s);
  return first;
}

}  // namespace vectorshard::place
