// The motion of clients in shared memory: a fixed number of slots, hashed into partitions with a lock each. When a
// partition is full, the slot of a client that has not reported for long is used again (the oldest one that did not report again
// since it came or was last passed over). Slots are reached only through
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

constexpr size_t kCacheLine = 64;

/// A report waits for memory more than for anything else: what finds the slot is in one line with the beginning of the name.
struct alignas(kCacheLine) Slot {
  uint32 hash;
  int32_t next_in_bucket;  // slots of a partition are named by index; -1: none
  int32_t older, newer;    // order of age
  int32_t next_marked;
  bool marked;             // in the navigator's list
  bool arrived;
  bool used;               // again, since it became the newest
  uint8_t client_bytes;
  int64_t received_at;
  char client[kMaxClientBytes];
  int64_t checkpointed_at;
  double written_at_s;     // the motion's time when it was checkpointed
  double look_again_s;     // clients' seconds; 0: when it reports
  alignas(kCacheLine) Motion motion;

  std::string_view name() const { return {client, client_bytes}; }
};
static_assert(sizeof(Slot) - kMaxClientBytes <= 1024);
static_assert(offsetof(Slot, client) <= kCacheLine / 2);

/// Counters in shared memory, added to without a lock.
enum Counter { kAccepted, kRefusedFirst, kDropped = kRefusedFirst + kRefusalCount, kArrivals, kHits, kCounterCount };
void count(Counter counter);

/// Where a client's slot is, if it has one. Each step asks for memory that the next one needs, so that other work can be
/// done meanwhile. Clients that report in the order in which they came first are found at the first guess: in a partition,
/// the slot after the last one.
class Spot {
 public:
  explicit Spot(std::string_view client);
  /// Asks for the slot itself. Takes no lock: what it finds is a guess.
  void approach() const;

 private:
  friend class HeldSlot;
  std::string_view client_;
  uint32 hash_ = 0;
  void *partition_ = nullptr;  // none: no such client has a slot
  int32_t *last_ = nullptr;    // the slot that this backend found last in the partition
  int32_t guess_ = -1;
};

/// A slot and the lock of its partition, until scope end.
class HeldSlot {
 public:
  enum Want { kRead, kChange, kMake };
  /// kRead and kChange: the client's slot, or none. kMake: made if there is none. A name longer than kMaxClientBytes
  /// has no slot.
  HeldSlot(const Spot &spot, Want want);
  HeldSlot(std::string_view client, Want want) : HeldSlot(Spot(client), want) {}
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
