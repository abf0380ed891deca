// Rights of a table's owner, for a change that another role was allowed elsewhere: what the owner attached to the table (triggers,
// checks, generated columns) then runs with no more rights than his own. Only around statements of our own on that table.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "miscadmin.h"
}

namespace vectorshard::bridge {

/// Runs as `owner` until scope end; row security that he forces on himself does not apply, as it does not for foreign keys.
/// InvalidOid: nothing changes. The destructor only assigns, so it may run while an error unwinds.
class AsOwner {
 public:
  explicit AsOwner(Oid owner) {
    GetUserIdAndSecContext(&user_, &context_);
    if (OidIsValid(owner)) SetUserIdAndSecContext(owner, context_ | SECURITY_LOCAL_USERID_CHANGE | SECURITY_NOFORCE_RLS);
  }
  ~AsOwner() { SetUserIdAndSecContext(user_, context_); }
  AsOwner(const AsOwner &) = delete;
  AsOwner &operator=(const AsOwner &) = delete;

 private:
  Oid user_;
  int context_;
};

}  // namespace vectorshard::bridge
