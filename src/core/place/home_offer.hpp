// What a node answers to a home that hands a client over to it (docs/architecture.md, "Moving a home").
#pragma once
#include "core/place/handshake.hpp"

namespace vectorshard::place {

/// `epoch`: of the home that asks, which has fenced the client. `holds_all`: this node holds at least what the home has. After
/// ok this node is the home of epoch + 1; asked again, because the answer was lost, it says ok again. A home that was
/// deposed hears not_home.
Answer answer_to_offer(const AskedStanding &here, NodeId self, int64_t epoch, bool holds_all);

/// At the registrar. The home of `epoch` asked a node to be the next, which was removed before it answered: it may have been home of epoch + 1, and
/// others may know of that. The epoch under which the asker goes on as home, which beats that one wherever it is known; 0: the registrar
/// knows of another home already, or of the removed one, whose client it gives to a holder. Asked again it says the same.
int64_t epoch_after_lost_target(const AskedStanding &here, NodeId asker, int64_t epoch);

}  // namespace vectorshard::place
