// Answers of the home: see handshake.hpp.
#include "core/place/handshake.hpp"

namespace vectorshard::place {

namespace {

Answer rows_here(const AskedStanding &here) {
  if (here.resident) return here.leaving ? Answer::leaving : Answer::live;
  return here.cold ? Answer::cold : Answer::absent;
}

}  // namespace

Answer answer_of(std::string_view said) {
  for (Answer a : {Answer::stranger, Answer::live, Answer::holder, Answer::leaving, Answer::cold, Answer::absent, Answer::not_home, Answer::send,
                   Answer::ok})
    if (said == word(a)) return a;
  return Answer::unknown;
}

Answer answer_to_announcement(const AskedStanding &here, NodeId self) {
  if (!here.known) return Answer::unknown;
  if (!here.asker_active) return Answer::stranger;
  Answer rows = rows_here(here);
  if (here.home == self) return rows;
  return rows == Answer::live ? Answer::holder : Answer::not_home;
}

Answer answer_to_leaver(const AskedStanding &here, NodeId self, int64_t epoch, bool holds_all) {
  if (!here.known || here.home != self || here.epoch != epoch) return Answer::not_home;
  Answer rows = rows_here(here);
  if (rows != Answer::live) return rows;
  return holds_all ? Answer::ok : Answer::send;
}

bool confirms(const AskedStanding &here, NodeId self, bool same_digest) {
  return here.known && here.home == self && here.resident && !here.leaving && same_digest;
}

}  // namespace vectorshard::place
