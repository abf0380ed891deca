// Slots, buckets, order of use and the navigator's list: see motions.hpp. Nothing here reads a clock or a table.
#include "pg/telemetry/motions.hpp"

#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/lwlocked.hpp"
#include "pg/bridge/shmem.hpp"
extern "C" {
#include "common/hashfn.h"
#include "port/atomics.h"
#include "storage/shmem.h"
}

namespace vectorshard::telemetry {

namespace {

// Enough partitions that backends rarely meet; each large enough that the hash fills them evenly.
constexpr int kPartitionsMost = 32;
constexpr int kSlotsPerPartitionLeast = 256;
constexpr int32_t kSlotsALook = 256;  // a report never waits for a whole scan

struct Partition {
  LWLock lock;
  int32_t used;
  int32_t oldest, newest;
  int32_t marked_first, marked_last;
};

struct Region {
  int partitions;
  int slots;    // per partition
  int buckets;  // per partition, a power of two
  pg_atomic_uint64 counters[kCounterCount];
};

Region *region = nullptr;

struct Shape {
  int partitions, slots, buckets;
};

Shape shape() {
  int clients = bridge::guc::max_clients;
  int partitions = std::clamp(clients / kSlotsPerPartitionLeast, 1, kPartitionsMost);
  int slots = (clients + partitions - 1) / partitions;
  if (partitions > 1) slots += slots / 8;  // the hash does not fill all alike
  int buckets = 1;
  while (buckets < slots) buckets *= 2;
  return {partitions, slots, buckets};
}

constexpr size_t lines(size_t bytes) { return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine; }

size_t buckets_size(int buckets) { return lines(sizeof(int32_t) * static_cast<size_t>(buckets)); }

size_t part_size(const Shape &s) {
  return lines(sizeof(Partition)) + buckets_size(s.buckets) + sizeof(Slot) * static_cast<size_t>(s.slots);
}

size_t region_size() {
  Shape s = shape();
  return lines(sizeof(Region)) + part_size(s) * static_cast<size_t>(s.partitions);
}

Partition *partition_at(int i) {
  Shape s{region->partitions, region->slots, region->buckets};
  return reinterpret_cast<Partition *>(reinterpret_cast<char *>(region) + lines(sizeof(Region)) +
                                       part_size(s) * static_cast<size_t>(i));
}

int32_t *buckets_of(Partition *p) {
  return reinterpret_cast<int32_t *>(reinterpret_cast<char *>(p) + lines(sizeof(Partition)));
}

Slot *slot_at(Partition *p, int32_t i) {
  if (i < 0) return nullptr;
  return reinterpret_cast<Slot *>(reinterpret_cast<char *>(buckets_of(p)) + buckets_size(region->buckets)) + i;
}

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  Shape s = shape();
  r->partitions = s.partitions;
  r->slots = s.slots;
  r->buckets = s.buckets;
  for (auto &c : r->counters) pg_atomic_init_u64(&c, 0);
  region = r;
  int tranche = LWLockNewTrancheId();
  for (int i = 0; i < s.partitions; i++) {
    Partition *p = partition_at(i);
    LWLockInitialize(&p->lock, tranche);
    p->oldest = p->newest = p->marked_first = p->marked_last = -1;
    std::fill_n(buckets_of(p), s.buckets, -1);
  }
}

uint32 hash_of(std::string_view client) {
  return hash_bytes(reinterpret_cast<const unsigned char *>(client.data()), static_cast<int>(client.size()));
}

int32_t *bucket_of(Partition *p, uint32 hash) {
  return &buckets_of(p)[hash / static_cast<uint32>(region->partitions) & static_cast<uint32>(region->buckets - 1)];
}

/// Asks for the lines of a slot that a report touches.
void prefetch(Slot *s) {
  __builtin_prefetch(s, 1);
  for (size_t at = 0; at < sizeof(Motion); at += kCacheLine) __builtin_prefetch(reinterpret_cast<char *>(&s->motion) + at, 1);
}

bool is(const Slot &s, uint32 hash, std::string_view client) { return s.hash == hash && s.name() == client; }

int32_t find(Partition *p, uint32 hash, std::string_view client) {
  int32_t i = *bucket_of(p, hash);
  while (i >= 0 && !is(*slot_at(p, i), hash, client)) i = slot_at(p, i)->next_in_bucket;
  return i;
}

void take_out_of_order(Partition *p, int32_t i) {
  Slot *s = slot_at(p, i);
  (s->older >= 0 ? slot_at(p, s->older)->newer : p->oldest) = s->newer;
  (s->newer >= 0 ? slot_at(p, s->newer)->older : p->newest) = s->older;
}

void put_newest(Partition *p, int32_t i) {
  Slot *s = slot_at(p, i);
  s->older = p->newest;
  s->newer = -1;
  (p->newest >= 0 ? slot_at(p, p->newest)->newer : p->oldest) = i;
  p->newest = i;
}

void take_out_of_bucket(Partition *p, int32_t i) {
  int32_t *link = bucket_of(p, slot_at(p, i)->hash);
  while (*link != i) link = &slot_at(p, *link)->next_in_bucket;
  *link = slot_at(p, i)->next_in_bucket;
}

void take_out_of_marked(Partition *p, int32_t i) {
  int32_t before = -1, at = p->marked_first;
  while (at != i) {
    before = at;
    at = slot_at(p, at)->next_marked;
  }
  int32_t after = slot_at(p, i)->next_marked;
  (before >= 0 ? slot_at(p, before)->next_marked : p->marked_first) = after;
  if (p->marked_last == i) p->marked_last = before;
}

/// The oldest slot that was not used since it became the newest.
int32_t longest_unused(Partition *p) {
  while (slot_at(p, p->oldest)->used) {
    int32_t i = p->oldest;
    slot_at(p, i)->used = false;
    take_out_of_order(p, i);
    put_newest(p, i);
  }
  return p->oldest;
}

/// A free slot, or the one longest unused.
int32_t make(Partition *p, uint32 hash, std::string_view client) {
  int32_t i;
  if (p->used < region->slots) {
    i = p->used++;
  } else {
    i = longest_unused(p);
    take_out_of_order(p, i);
    take_out_of_bucket(p, i);
    if (slot_at(p, i)->marked) take_out_of_marked(p, i);
    count(kDropped);
  }
  Slot *s = slot_at(p, i);
  *s = Slot{};
  s->hash = hash;
  s->client_bytes = static_cast<uint8_t>(client.size());
  memcpy(s->client, client.data(), client.size());
  int32_t *bucket = bucket_of(p, hash);
  s->next_in_bucket = *bucket;
  *bucket = i;
  put_newest(p, i);
  return i;
}

int32_t index_of(Partition *p, const Slot *s) {
  return static_cast<int32_t>(s - slot_at(p, 0));
}

Known known(const Slot &s) {
  return {ClientName(s.name()), s.motion, s.arrived, s.received_at, s.checkpointed_at, s.written_at_s};
}

}  // namespace

void count(Counter counter) { pg_atomic_fetch_add_u64(&region->counters[counter], 1); }

// What is read here without the lock is in slots, which never move, and is read again under it.
Spot::Spot(std::string_view client) : client_(client) {
  static int32_t last_found[kPartitionsMost];
  if (!region || client.empty() || client.size() > kMaxClientBytes) return;
  hash_ = hash_of(client);
  uint32 n = hash_ % static_cast<uint32>(region->partitions);
  auto *p = partition_at(static_cast<int>(n));
  partition_ = p;
  last_ = &last_found[n];
  int32_t next = *last_ + 1 < region->slots ? *last_ + 1 : 0;
  if (*const_cast<volatile uint32 *>(&slot_at(p, next)->hash) == hash_)
    guess_ = next;
  else
    __builtin_prefetch(bucket_of(p, hash_));
}

void Spot::approach() const {
  if (!partition_ || guess_ >= 0) return;
  auto *p = static_cast<Partition *>(partition_);
  int32_t i = *const_cast<volatile int32_t *>(bucket_of(p, hash_));
  if (i >= 0) prefetch(slot_at(p, i));
}

HeldSlot::HeldSlot(const Spot &spot, Want want) {
  if (!spot.partition_) return;
  auto *p = static_cast<Partition *>(spot.partition_);
  lock_ = &p->lock;
  partition_ = p;
  LWLockAcquire(lock_, want == kRead ? LW_SHARED : LW_EXCLUSIVE);
  bool guessed = spot.guess_ >= 0 && spot.guess_ < p->used && is(*slot_at(p, spot.guess_), spot.hash_, spot.client_);
  int32_t i = guessed ? spot.guess_ : find(p, spot.hash_, spot.client_);
  if (want == kMake && i < 0) i = make(p, spot.hash_, spot.client_);
  slot_ = slot_at(p, i);
  if (i < 0) return;
  *spot.last_ = i;
  if (i + 1 < p->used) prefetch(slot_at(p, i + 1));
}

HeldSlot::~HeldSlot() {
  if (lock_) LWLockRelease(lock_);
}

void HeldSlot::mark() {
  if (slot_->marked) return;
  auto *p = static_cast<Partition *>(partition_);
  int32_t i = index_of(p, slot_);
  slot_->marked = true;
  slot_->next_marked = -1;
  (p->marked_last >= 0 ? slot_at(p, p->marked_last)->next_marked : p->marked_first) = i;
  p->marked_last = i;
}

std::vector<Known> take_marked(size_t most) {
  std::vector<Known> out;
  out.reserve(most);
  static int begin = 0;  // no partition waits for the others for ever
  for (int n = 0; region && n < region->partitions && out.size() < most; n++) {
    Partition *p = partition_at((begin + n) % region->partitions);
    bridge::LwLocked locked(&p->lock, LW_EXCLUSIVE);
    while (p->marked_first >= 0 && out.size() < most) {
      Slot *s = slot_at(p, p->marked_first);
      out.push_back(known(*s));
      p->marked_first = s->next_marked;
      if (p->marked_first < 0) p->marked_last = -1;
      s->marked = s->arrived = false;
    }
  }
  if (region) begin = (begin + 1) % region->partitions;
  return out;
}

std::optional<Known> known_in_memory(std::string_view client) {
  HeldSlot slot(client, HeldSlot::kRead);
  if (!slot) return std::nullopt;
  return known(*slot);
}

void mark_for_navigator(std::string_view client, bool arrived) noexcept {
  {
    HeldSlot slot(client, HeldSlot::kChange);
    if (!slot) return;
    slot->arrived |= arrived;
    slot.mark();
  }
  bridge::wake(bridge::kNavigator);
}

void served_by_other(std::string_view client, NodeId node, double motion_at_s, double left_s) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (!slot || slot->motion.at_s != motion_at_s) return;
  slot->motion.serving = node;
  slot->motion.serving_since_s = left_s;
}

void note_learned(std::string_view client, const Motion &motion) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (!slot) return;
  if (motion.habit.last_s > slot->motion.habit.last_s) slot->motion.habit = motion.habit;
  if (slot->motion.session_s != motion.session_s) return;
  const Stand *there = slot->motion.trail.last(), *here = motion.trail.last();
  if (!there || (here && here->at_s > there->at_s)) slot->motion.trail = motion.trail;
}

void note_history(std::string_view client, const Motion &motion) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (!slot || slot->motion.at_s != motion.at_s) return;
  slot->motion.habit = motion.habit;
  slot->motion.session_s = motion.session_s;
  slot->motion.interval_s = motion.interval_s;
}

void note_planned(std::string_view client, double motion_at_s, double look_again_s) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (slot && slot->motion.at_s == motion_at_s) slot->look_again_s = look_again_s;
}

namespace {

/// Nothing is allocated, so nothing can fail, under a lock.
template <class Wanted>
bool pass_over(PassCursor &c, int slots, size_t most, std::vector<Known> &out, Wanted wanted) {
  while (slots > 0 && out.size() < most) {
    if (!region || c.partition >= region->partitions) {
      c = {};
      return true;
    }
    out.reserve(out.size() + kSlotsALook);
    Partition *p = partition_at(c.partition);
    bridge::LwLocked locked(&p->lock, LW_SHARED);
    for (int32_t end = c.slot + kSlotsALook; c.slot < std::min(end, p->used) && out.size() < most; c.slot++, slots--)
      if (const Slot &s = *slot_at(p, c.slot); wanted(s)) out.push_back(known(s));
    if (c.slot >= p->used) c = {c.partition + 1, 0};
  }
  return false;
}

}  // namespace

bool pass_on(PassCursor &cursor, int slots, double now_s, size_t most, std::vector<Known> &due) {
  return pass_over(cursor, slots, most, due, [now_s, self = bridge::self_node()](const Slot &s) {
    return s.look_again_s != 0 && s.look_again_s <= now_s && !s.marked && s.motion.serving == self;
  });
}

bool pass_on_unwritten(PassCursor &cursor, size_t most, std::vector<Known> &unwritten) {
  return pass_over(cursor, INT32_MAX, most, unwritten, [self = bridge::self_node()](const Slot &s) {
    return s.received_at != 0 && s.motion.at_s != s.written_at_s && s.motion.serving == self;
  });
}

bool pass_on_placed(PassCursor &cursor, int slots, size_t most, std::vector<Known> &placed) {
  return pass_over(cursor, slots, most, placed, [self = bridge::self_node()](const Slot &s) {
    return s.motion.reports != 0 && s.motion.serving == self;
  });
}

void note_checkpoint(std::string_view client, double motion_at_s, int64_t at) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (!slot) return;
  slot->checkpointed_at = at;
  slot->written_at_s = motion_at_s;
}

void forget(std::string_view client) {
  HeldSlot slot(client, HeldSlot::kChange);
  if (!slot) return;
  slot->motion = Motion{};
  slot->received_at = 0;
  slot->checkpointed_at = 0;
  slot->written_at_s = 0;
  slot->look_again_s = 0;
}

Counters counters() {
  Counters out;
  if (!region) return out;
  auto read = [&](int i) { return pg_atomic_read_u64(&region->counters[i]); };
  out.accepted = read(kAccepted);
  for (int i = 0; i < kRefusalCount; i++) out.refused[i] = read(kRefusedFirst + i);
  out.dropped = read(kDropped);
  out.arrivals = read(kArrivals);
  out.hits = read(kHits);
  return out;
}

size_t active_clients(double seconds) {
  size_t active = 0;
  double since = clients_now() - seconds;
  int self = bridge::self_node();
  for (int n = 0; region && n < region->partitions; n++) {
    Partition *p = partition_at(n);
    bool more = true;
    for (int32_t i = 0; more;) {
      bridge::LwLocked locked(&p->lock, LW_SHARED);
      for (int32_t end = i + kSlotsALook; i < std::min(end, p->used); i++) {
        const Motion &m = slot_at(p, i)->motion;
        active += m.serving == self && m.at_s >= since;
      }
      more = i < p->used;
    }
  }
  return active;
}

void init() {
  bridge::register_region({"vectorshard telemetry", region_size, init_region, reinterpret_cast<void **>(&region)});
}

}  // namespace vectorshard::telemetry
