// Decisions about residency: see residency_rules.hpp. No database, no clock.
#include "core/apply/residency_rules.hpp"

namespace vectorshard::apply {

Receipt receipt(const Standing &here, NodeId self) {
  if (here.leaving) return Receipt::copying;
  if (here.resident) return Receipt::take;
  if (here.cold) return Receipt::cold;
  if (here.own == HolderState::copying) return Receipt::copying;
  // A home that holds nothing (born elsewhere while no core node answered) begins with what it is sent.
  return here.home == self && self != kNoNode ? Receipt::become_resident : Receipt::gone;
}

}  // namespace vectorshard::apply
