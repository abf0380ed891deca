// What holds for the length of a scope: a fresh snapshot, and writes that teach this node what a peer said (they fire no
// origin triggers and are dropped by our decoding).
#pragma once
#include "pg/bridge/guard.hpp"
extern "C" {
#include "commands/trigger.h"
#include "replication/origin.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::ship {

/// The role is assigned directly: the setting's hook would throw away all cached plans, and triggers look at the
/// variable alone. The destructor only assigns, so it may run while an error unwinds.
class LearnedWrites {
 public:
  LearnedWrites() : role_(SessionReplicationRole), origin_(replorigin_session_origin) {
    SessionReplicationRole = SESSION_REPLICATION_ROLE_REPLICA;
    replorigin_session_origin = DoNotReplicateId;
  }
  ~LearnedWrites() {
    SessionReplicationRole = role_;
    replorigin_session_origin = origin_;
  }
  LearnedWrites(const LearnedWrites &) = delete;
  LearnedWrites &operator=(const LearnedWrites &) = delete;

 private:
  int role_;
  RepOriginId origin_;
};

class FreshSnapshot {
 public:
  FreshSnapshot() {
    bridge::pg_call([] { PushActiveSnapshot(GetLatestSnapshot()); });
  }
  ~FreshSnapshot() {
    if (std::uncaught_exceptions() == exceptions_) PopActiveSnapshot();  // else the (sub)transaction's end does
  }
  FreshSnapshot(const FreshSnapshot &) = delete;
  FreshSnapshot &operator=(const FreshSnapshot &) = delete;

 private:
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace vectorshard::ship
