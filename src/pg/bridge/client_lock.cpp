// Locks per client in a key space of our own: see client_lock.hpp.
#include "pg/bridge/client_lock.hpp"

#include <map>

#include "pg/bridge/guard.hpp"
extern "C" {
#include "common/hashfn.h"
#include "storage/lock.h"
}

namespace vectorshard::bridge {

namespace {

// The fourth field tells our locks from user advisory locks (which use 1 and 2).
constexpr uint16 kClientLockSpace = 0x5653;
constexpr uint16 kHoldersLockSpace = 0x5654;
// Few, so that a batch of many clients does not fill the lock table.
constexpr uint32 kHoldersLocks = 64;

LOCKTAG tag_of(std::string_view client) {
  uint64 h = client_hash(client);
  LOCKTAG tag;
  SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, static_cast<uint32>(h >> 32), static_cast<uint32>(h), kClientLockSpace);
  return tag;
}

bool acquire(std::string_view client, LOCKMODE mode, bool dont_wait, bool keep = false) {
  LOCKTAG tag = tag_of(client);
  return pg_call([&] { return LockAcquire(&tag, mode, keep, dont_wait) != LOCKACQUIRE_NOT_AVAIL; });
}

}  // namespace

uint64 client_hash(std::string_view client) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char *>(client.data()), static_cast<int>(client.size()), 0);
}

void lock_client_shared(std::string_view client) { acquire(client, ShareLock, false); }
bool try_lock_client(std::string_view client) { return acquire(client, ExclusiveLock, true); }
bool try_keep_client(std::string_view client) { return acquire(client, ExclusiveLock, true, true); }
void let_client_go(std::string_view client) {
  LOCKTAG tag = tag_of(client);
  pg_call([&] { (void)LockRelease(&tag, ExclusiveLock, true); });
}
void lock_client(std::string_view client) { acquire(client, ExclusiveLock, false); }
bool holds_client_shared(std::string_view client) {
  LOCKTAG tag = tag_of(client);
  return LockHeldByMe(&tag, ShareLock);
}

void lock_holders_of(const std::set<std::string> &read, const std::set<std::string> &changed) {
  std::map<uint32, LOCKMODE> modes;  // sorted: every transaction takes them in the same order
  for (const std::string &c : read) modes.emplace(client_hash(c) % kHoldersLocks, ShareLock);
  for (const std::string &c : changed) modes[client_hash(c) % kHoldersLocks] = ExclusiveLock;
  for (auto [lock, mode] : modes) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, 0, lock, kHoldersLockSpace);
    pg_call([&] { (void)LockAcquire(&tag, mode, false, false); });
  }
}

}  // namespace vectorshard::bridge
