// Answers to a home that moves: see home_offer.hpp.
#include "core/place/home_offer.hpp"

namespace vectorshard::place {

Answer answer_to_offer(const AskedStanding &here, NodeId self, int64_t epoch, bool holds_all) {
  if (here.known && here.epoch > epoch) return here.home == self ? Answer::ok : Answer::not_home;
  if (!here.resident) return Answer::absent;
  if (here.leaving) return Answer::leaving;
  return holds_all ? Answer::ok : Answer::send;
}

int64_t epoch_after_lost_target(const AskedStanding &here, NodeId asker, int64_t epoch) {
  if (!here.known || here.epoch <= epoch) return epoch + 2;
  return here.home == asker ? here.epoch : 0;
}

}  // namespace vectorshard::place
