// The holder worker's queue in shared memory: see holder_queue.hpp.
#include "pg/place/holder_queue.hpp"

#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/place/api.hpp"
extern "C" {
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

constexpr int kSlots = 512;

struct Slot {
  RequestKind kind;
  RequestState state;
  bool birth_without_core;
  uint8_t client_bytes;
  char client[kMaxClientBytes + 1];
  TimestampTz until;
  int sqlstate;
  char message[256];
  char detail[512];
  char hint[256];
};

struct Region {
  LWLock lock;
  ConditionVariable ended;
  Slot slots[kSlots];
  PathMeter meters[kNodeMax + 1];
  CopyJobs jobs[kNodeMax + 1];
};

Region *region = nullptr;
void *region_memory = nullptr;

size_t region_size() { return sizeof(Region); }

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  LWLockInitialize(&r->lock, LWLockNewTrancheId());
  ConditionVariableInit(&r->ended);
  for (PathMeter &m : r->meters) new (&m) PathMeter();
  for (CopyJobs &j : r->jobs) new (&j) CopyJobs();
}

Region *the_region() {
  bridge::require_preloaded();
  if (!region) region = static_cast<Region *>(region_memory);
  return region;
}

/// The lock of the region; released at scope end. Nothing inside may ereport.
class Locked {
 public:
  explicit Locked(LWLockMode mode) : lock_(&the_region()->lock) { LWLockAcquire(lock_, mode); }
  ~Locked() { LWLockRelease(lock_); }
  Locked(const Locked &) = delete;
  Locked &operator=(const Locked &) = delete;

 private:
  LWLock *lock_;
};

Slot *find(RequestKind kind, std::string_view client) {
  for (Slot &s : region->slots)
    if (s.state != RequestState::free && s.kind == kind && std::string_view(s.client, s.client_bytes) == client)
      return &s;
  return nullptr;
}

/// A slot for another request; where all are taken, that of the oldest request which has ended: its asker was woken.
Slot *free_slot(TimestampTz now) {
  Slot *ended = nullptr;
  for (Slot &s : region->slots) {
    if (s.state == RequestState::free || (s.state != RequestState::working && s.until < now)) return &s;
    bool over = s.state == RequestState::done || s.state == RequestState::failed;
    if (over && (!ended || s.until < ended->until)) ended = &s;
  }
  return ended;
}

void broadcast() {
  bridge::pg_call([] { ConditionVariableBroadcast(&region->ended); });
}

}  // namespace

void register_holder_queue() {
  bridge::register_region({"vectorshard holder queue", region_size, init_region, &region_memory});
}

bool ask(const Request &request, TimestampTz until) {
  {
    Locked locked(LW_EXCLUSIVE);
    Slot *s = find(request.kind, request.client);
    if (!s) {
      s = free_slot(bridge::steady_us());
      if (!s) return false;
      *s = Slot{};
      s->kind = request.kind;
      s->client_bytes = static_cast<uint8_t>(request.client.size());
      memcpy(s->client, request.client.data(), request.client.size());
    }
    if (s->state != RequestState::working) s->state = RequestState::wanted;
    s->birth_without_core |= request.birth_without_core;
    s->until = Max(s->until, until);
  }
  bridge::wake(bridge::kHolder);
  return true;
}

std::optional<Outcome> outcome(RequestKind kind, std::string_view client) {
  Locked locked(LW_SHARED);
  Slot *s = find(kind, client);
  if (!s) return std::nullopt;
  return Outcome{s->state, s->sqlstate, s->message, s->detail, s->hint};
}

void wait_for_outcome(long ms) {
  the_region();
  bridge::pg_call([&] {
    ConditionVariableTimedSleep(&region->ended, ms, PG_WAIT_EXTENSION);
    ConditionVariableCancelSleep();
  });
}

std::vector<Request> take_requests(const std::set<std::string, std::less<>> &known) {
  std::vector<Request> out;
  TimestampTz now = bridge::steady_us();
  Locked locked(LW_EXCLUSIVE);
  for (Slot &s : region->slots) {
    if (s.state == RequestState::free) continue;
    if (s.until < now) s.state = RequestState::free;
    std::string_view client(s.client, s.client_bytes);
    bool lost = s.state == RequestState::working && !known.contains(client);
    if (s.state != RequestState::wanted && !lost) continue;
    out.push_back({s.kind, std::string(client), s.birth_without_core});
    s.state = RequestState::working;
  }
  return out;
}

bool still_asked(RequestKind kind, std::string_view client) {
  Locked locked(LW_SHARED);
  return find(kind, client) != nullptr;
}

void finish(RequestKind kind, std::string_view client) {
  {
    Locked locked(LW_EXCLUSIVE);
    Slot *s = find(kind, client);
    if (!s) return;
    // The asker of a copy sees the residency itself; that of an eviction reads the outcome.
    s->state = kind == RequestKind::copy ? RequestState::free : RequestState::done;
  }
  broadcast();
}

void finish_failed(RequestKind kind, std::string_view client, int sqlstate, const Error &why) {
  {
    Locked locked(LW_EXCLUSIVE);
    Slot *s = find(kind, client);
    if (!s) return;
    s->state = RequestState::failed;
    s->sqlstate = sqlstate;
    strlcpy(s->message, why.message.c_str(), sizeof s->message);
    strlcpy(s->detail, why.detail.c_str(), sizeof s->detail);
    strlcpy(s->hint, why.hint.c_str(), sizeof s->hint);
  }
  broadcast();
}

bool copies_wanted() {
  Locked locked(LW_SHARED);
  for (const Slot &s : region->slots)
    if (s.state == RequestState::wanted && s.kind == RequestKind::copy) return true;
  return false;
}

void note_copy(NodeId source, double bytes, double seconds) {
  if (source < 1 || source > kNodeMax) return;
  Locked locked(LW_EXCLUSIVE);
  region->meters[source].note_copy(bytes, seconds);
  region->jobs[source].copies++;
}

void note_job(NodeId source) {
  if (source < 1 || source > kNodeMax) return;
  Locked locked(LW_EXCLUSIVE);
  region->jobs[source].jobs++;
}

std::map<NodeId, CopyJobs> copy_jobs() {
  std::vector<CopyJobs> all(kNodeMax + 1);
  {
    Locked locked(LW_SHARED);
    std::copy(std::begin(region->jobs), std::end(region->jobs), all.begin());
  }
  std::map<NodeId, CopyJobs> out;
  for (NodeId node = 1; node <= kNodeMax; node++)
    if (const CopyJobs &j = all[static_cast<size_t>(node)]; j.jobs > 0) out[node] = j;
  return out;
}

void note_link_rtt(NodeId source, double seconds) noexcept {
  if (source < 1 || source > kNodeMax) return;
  Locked locked(LW_EXCLUSIVE);
  region->meters[source].note_rtt(seconds);
}

double link_rtt_s(NodeId node) noexcept {
  if (node < 1 || node > kNodeMax) return 0;
  Locked locked(LW_SHARED);
  return region->meters[node].path().rtt_s;
}

std::map<NodeId, Path> measured_paths() {
  std::vector<PathMeter> meters(kNodeMax + 1);
  {
    Locked locked(LW_SHARED);
    std::copy(std::begin(region->meters), std::end(region->meters), meters.begin());
  }
  std::map<NodeId, Path> out;
  for (NodeId node = 1; node <= kNodeMax; node++)
    if (Path p = meters[static_cast<size_t>(node)].path(); p.rtt_s > 0 || p.setup_s > 0 || p.bytes_per_s > 0) out[node] = p;
  return out;
}

double copy_time_ms(NodeId node) {
  if (node < 1 || node > kNodeMax) return 0;
  Locked locked(LW_SHARED);
  return region->meters[node].mean_s() * 1000;
}

}  // namespace vectorshard::place
