// A lightweight lock until scope end. LWLockAcquire raises only for a process that holds hundreds of them; nothing that can
// raise or throw belongs under it.
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "storage/lwlock.h"
}

namespace vectorshard::bridge {

class LwLocked {
 public:
  LwLocked(LWLock *lock, LWLockMode mode) : lock_(lock) { LWLockAcquire(lock_, mode); }
  ~LwLocked() { LWLockRelease(lock_); }
  LwLocked(const LwLocked &) = delete;
  LwLocked &operator=(const LwLocked &) = delete;

 private:
  LWLock *lock_;
};

}  // namespace vectorshard::bridge
