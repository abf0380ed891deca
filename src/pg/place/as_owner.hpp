// Scopes for writing the fabric's own rows from within somebody's transaction: as superuser, and for what was learned
// from a peer, without user triggers and without being decoded.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "catalog/pg_authid.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "replication/logical.h"
#include "replication/origin.h"
}

namespace vectorshard::place {

/// Runs as the bootstrap superuser until scope end. Only around statements of our own over fabric tables.
class AsOwner {
 public:
  AsOwner() {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context_ | SECURITY_LOCAL_USERID_CHANGE);
  }
  ~AsOwner() { SetUserIdAndSecContext(user_, context_); }
  AsOwner(const AsOwner &) = delete;
  AsOwner &operator=(const AsOwner &) = delete;

 private:
  Oid user_;
  int context_;
};

/// Writes in this scope are not decoded and fire no origin triggers. The role is set directly, not as a setting: the
/// setting's hook would throw away all cached plans, and triggers look at the variable alone.
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

}  // namespace vectorshard::place
