// What a node answers to a home that hands a client over to it (docs/architecture.md, "Moving a home").
#pragma once
#include "core/place/handshake.hpp"

namespace vectorshard::place {

/// `epoch`: of the home that asks, which has fenced the client. `holds_all`: this node holds at least what the home has. After
/// ok this node is the home of epoch + 1; asked again, because the answer was lost, it says ok again. A home that was
/// deposed hears not_home.
Answer answer_to_offer(const AskedStanding &here, NodeId self, int64_t epoch, bool holds_all);

}  // namespace vectorshard::place
