// What a home answers to a node that wants to copy a client or to let it go (docs/architecture.md, "Copy, evict, birth"),
// and what that node does about the answer. Never lets a copy go before the home of the current epoch has everything.
#pragma once
#include <cstdint>
#include <string_view>

#include "core/base/ids.hpp"

namespace vectorshard::place {

/// What the asked node says; the words are those of copy_announce() and evict_handshake().
enum class Answer {
  unknown,   // no such client is known here
  stranger,  // this node has not heard of the asking one yet, so nothing would be sent to it; ask again
  live,      // home: the rows are here, copy them
  holder,    // not the home, but the rows are here: copy them, unconfirmed
  leaving,   // home: just letting it go to a store; ask again
  cold,      // home: in a store, being brought back; ask again
  absent,    // home that holds nothing
  not_home,  // neither home (of that epoch) nor holder
  send,      // eviction: send what you hold first, then ask again
  ok,        // eviction: everything is here and the debts are taken over
};
constexpr const char *word(Answer a) {
  constexpr const char *words[] = {"unknown", "stranger", "live", "holder", "leaving", "cold", "absent", "not_home", "send", "ok"};
  return words[static_cast<int>(a)];
}
Answer answer_of(std::string_view word);

/// The asked node's view of the client.
struct AskedStanding {
  bool known = false;     // there is a `client` row
  NodeId home = kNoNode;
  int64_t epoch = 0;
  bool resident = false;
  bool leaving = false;
  bool cold = false;
  bool asker_active = true;  // the asking node is an active node, as far as known here
};

/// To a node that announces its copy. The holder row that came along is merged, unless the node is a stranger.
Answer answer_to_announcement(const AskedStanding &here, NodeId self);

/// To a holder that wants to let go. `epoch`: of the home, as the holder knows it. `holds_all`: this node holds at least
/// what the holder has (its digest is equal, or its full state was merged here since it fenced the client).
Answer answer_to_leaver(const AskedStanding &here, NodeId self, int64_t epoch, bool holds_all);

/// To a node that announced a copy of the client that it holds unconfirmed, and asks by digest: whether that is all that is here, so that
/// nothing need be sent and the copy is confirmed. Only the home can say so.
bool confirms(const AskedStanding &here, NodeId self, bool same_digest);

enum class AfterAnnouncement { copy, again_soon, give_up };
/// What the copying node does next.
constexpr AfterAnnouncement after_announcement(Answer a) {
  if (a == Answer::live || a == Answer::holder) return AfterAnnouncement::copy;
  return a == Answer::cold || a == Answer::leaving || a == Answer::stranger ? AfterAnnouncement::again_soon : AfterAnnouncement::give_up;
}

}  // namespace vectorshard::place
