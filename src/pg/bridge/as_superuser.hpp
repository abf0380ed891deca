// Rights of the extension itself, for reading and writing the fabric's own tables inside an application's transaction.
// Only around statements of our own that name those tables; never around anything a user wrote.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "catalog/pg_authid.h"
#include "miscadmin.h"
}

namespace vectorshard::bridge {

/// Runs as the bootstrap superuser until scope end. The destructor only assigns, so it may run while an error unwinds.
class AsSuperuser {
 public:
  AsSuperuser() {
    GetUserIdAndSecContext(&user_, &context_);
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, context_ | SECURITY_LOCAL_USERID_CHANGE);
  }
  ~AsSuperuser() { SetUserIdAndSecContext(user_, context_); }
  AsSuperuser(const AsSuperuser &) = delete;
  AsSuperuser &operator=(const AsSuperuser &) = delete;

 private:
  Oid user_;
  int context_;
};

}  // namespace vectorshard::bridge
