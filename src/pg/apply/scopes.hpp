// What holds only for the length of a scope while apply writes: rights of another user; and the scopes of the bridge.
// Destructors only assign variables, so they may run while an error unwinds.
#pragma once
#include "pg/bridge/postgres.hpp"
#include "pg/bridge/scopes.hpp"
namespace vectorshard::apply {

/// Rights of `user`. Restricted: what runs cannot leave anything behind in the session (as index builds do), and an owner who has
/// put himself under row security (FORCE) merges, removes and compares all rows all the same.
class UserScope {
 public:
  explicit UserScope(Oid user, bool restricted) {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(user, context_ | (restricted ? SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS : SECURITY_LOCAL_USERID_CHANGE));
  }
  ~UserScope() { SetUserIdAndSecContext(user_, context_); }
  UserScope(const UserScope &) = delete;
  UserScope &operator=(const UserScope &) = delete;

 private:
  Oid user_;
  int context_;
};

/// The owner of the extension's tables, whose rights the trigger uses for them.
Oid extension_owner();

}  // namespace vectorshard::apply
