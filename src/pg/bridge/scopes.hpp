// What holds only for the length of a scope: the replica role, an origin that our decoding drops, a fresh snapshot.
// Around statements of our own alone. Destructors that run while an error unwinds only assign variables.
#pragma once
#include "pg/bridge/guard.hpp"
extern "C" {
#include "commands/trigger.h"
#include "replication/origin.h"
#include "utils/snapmgr.h"
}

namespace vectorshard::bridge {

/// The replication role. Assigned past the setting's machinery, which would throw away every plan of the session;
/// triggers look at the variable alone, and plans made inside such a scope are never used outside one.
class RoleScope {
 public:
  explicit RoleScope(int role) : old_(SessionReplicationRole) { SessionReplicationRole = role; }
  ~RoleScope() { SessionReplicationRole = old_; }
  RoleScope(const RoleScope &) = delete;
  RoleScope &operator=(const RoleScope &) = delete;

 private:
  int old_;
};

/// Records written inside are dropped by our filter_by_origin_cb.
class HiddenScope {
 public:
  HiddenScope() : old_(replorigin_session_origin) { replorigin_session_origin = DoNotReplicateId; }
  ~HiddenScope() { replorigin_session_origin = old_; }
  HiddenScope(const HiddenScope &) = delete;
  HiddenScope &operator=(const HiddenScope &) = delete;

 private:
  RepOriginId old_;
};

/// Writes that teach this node what a peer said: they fire no origin triggers, so carry their versions, and are not
/// shipped.
class LearnedWrites {
 private:
  RoleScope role_{SESSION_REPLICATION_ROLE_REPLICA};
  HiddenScope hidden_;
};

/// A fresh snapshot is the active one.
class FreshSnapshot {
 public:
  FreshSnapshot() {
    pg_call([] { PushActiveSnapshot(GetLatestSnapshot()); });
  }
  ~FreshSnapshot() {
    if (std::uncaught_exceptions() == exceptions_) PopActiveSnapshot();  // else the (sub)transaction's end does
  }
  FreshSnapshot(const FreshSnapshot &) = delete;
  FreshSnapshot &operator=(const FreshSnapshot &) = delete;

 private:
  int exceptions_ = std::uncaught_exceptions();
};

}  // namespace vectorshard::bridge
