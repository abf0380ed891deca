// The motion of clients in shared memory: a fixed number of slots, hashed into partitions with a lock each. When a
// partition is full, the slot of the client that reported least recently is used again. Slots are reached only through
// a HeldSlot, which holds the partition's lock; nothing may raise while one lives.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "core/telemetry/types.hpp"
#include "pg/bridge/postgres.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "storage/lwlock.h"
}

namespace vectorshard::telemetry {

constexpr size_t kMaxClientBytes = 255;

struct Slot {
  Motion motion;
  int64_t received_at;
  int64_t checkpointed_at;
  int32_t next_in_bucket;  // slots of a partition are named by index; -1: none
  int32_t older, newer;    // order of use
  bool marked;             // in the navigator's list
  bool arrived;
  int32_t next_marked;
  uint8_t client_bytes;
  char client[kMaxClientBytes];

  std::string_view name() const { return {client, client_bytes}; }
};
static_assert(sizeof(Slot) <= 1024);

/// Counters in shared memory, added to without a lock.
enum Counter { kAccepted, kRefusedFirst, kDropped = kRefusedFirst + kRefusalCount, kArrivals, kHits, kCounterCount };
void count(Counter counter);

/// A slot and the lock of its partition, until scope end.
class HeldSlot {
 public:
  enum Want { kRead, kChange, kMake };
  /// kRead and kChange: the client's slot, or none. kMake: made if there is none. A name longer than kMaxClientBytes
  /// has no slot.
  HeldSlot(std::string_view client, Want want);
  ~HeldSlot();
  HeldSlot(const HeldSlot &) = delete;
  HeldSlot &operator=(const HeldSlot &) = delete;
  explicit operator bool() const { return slot_ != nullptr; }
  Slot *operator->() const { return slot_; }
  Slot &operator*() const { return *slot_; }
  /// Puts the slot into the navigator's list. Needs kChange or kMake.
  void mark();

 private:
  LWLock *lock_ = nullptr;
  void *partition_ = nullptr;
  Slot *slot_ = nullptr;
};

}  // namespace vectorshard::telemetry
