// What holds only for the length of a scope while apply writes: rights of another user, the replica role, an origin
// that our decoding drops. Destructors only assign variables, so they may run while an error unwinds.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "commands/trigger.h"
#include "replication/origin.h"
#include "storage/proc.h"
}

namespace vectorshard::apply {

/// Rights of `user`. Restricted: what runs cannot leave anything behind in the session (as index builds do).
class UserScope {
 public:
  explicit UserScope(Oid user, bool restricted) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(user, context_ | (restricted ? SECURITY_RESTRICTED_OPERATION : SECURITY_LOCAL_USERID_CHANGE));
  }
  ~UserScope() { SetUserIdAndSecContext(user_, context_); }
  UserScope(const UserScope &) = delete;
  UserScope &operator=(const UserScope &) = delete;

 private:
  Oid user_;
  int context_;
};

/// The replication role. Assigned past the setting's machinery, which would throw away every plan of the session;
/// the plans made inside such a scope are never used outside one.
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

/// This backend finds deadlocks early, and so is the one that loses them against users.
class DeadlockScope {
 public:
  DeadlockScope() : old_(DeadlockTimeout) { DeadlockTimeout = std::min(DeadlockTimeout, kTimeoutMs); }
  ~DeadlockScope() { DeadlockTimeout = old_; }
  DeadlockScope(const DeadlockScope &) = delete;
  DeadlockScope &operator=(const DeadlockScope &) = delete;

 private:
  static constexpr int kTimeoutMs = 50;
  int old_;
};

/// The owner of the extension's tables, whose rights the trigger uses for them.
Oid extension_owner();

}  // namespace vectorshard::apply
