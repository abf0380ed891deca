// The navigator's queue: see navigator_queue.hpp. What triggers note is told at commit, because the navigator reads
// tables: before, it would not see the row.
#include "pg/place/navigator_queue.hpp"

#include "core/base/version.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/place/api.hpp"
#include "pg/place/quality.hpp"
#include "pg/telemetry/api.hpp"
extern "C" {
#include "access/xact.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "port/atomics.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
}

namespace vectorshard::place {

namespace {

constexpr int kMissedMost = 512;
constexpr size_t kClientBytesMost = 255;

struct Name {
  uint8_t bytes;
  char text[kClientBytesMost];
};

struct Region {
  LWLock lock;
  int missed_count;
  Name missed[kMissedMost];
  pg_atomic_uint32 policies_seen;  // 1: nothing changed since the navigator looked
  pg_atomic_uint32 policies_seen_by_holder;
  pg_atomic_uint64 copies, wasted, wishes;
  bool dead[kNodeMax + 1];  // written by the navigator alone
};

Region *region = nullptr;

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  LWLockInitialize(&r->lock, LWLockNewTrancheId());
  pg_atomic_init_u32(&r->policies_seen, 0);
  pg_atomic_init_u32(&r->policies_seen_by_holder, 0);
  for (auto *c : {&r->copies, &r->wasted, &r->wishes}) pg_atomic_init_u64(c, 0);
}

/// Set by triggers of this transaction, told at its commit.
struct Heard {
  std::vector<std::string> clients;
  bool policies = false;
};

bool untold = false;

Heard &heard() {
  static Heard h;
  return h;
}

void on_transaction_end(XactEvent event, void *) {
  Heard &h = heard();
  if (event == XACT_EVENT_COMMIT) {
    for (const std::string &client : h.clients) telemetry::mark_for_navigator(client);
    if (h.policies) {
      pg_atomic_write_u32(&region->policies_seen, 0);
      pg_atomic_write_u32(&region->policies_seen_by_holder, 0);
      bridge::wake(bridge::kNavigator);
      bridge::wake(bridge::kHolder);
    }
  }
  if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) h = {};
}

Heard &to_tell() {
  static bool registered = false;
  if (!registered) bridge::pg_call([] { RegisterXactCallback(on_transaction_end, nullptr); });
  registered = true;
  return heard();
}

std::string column(HeapTuple row, TupleDesc desc, const char *name) {
  char *text = bridge::pg_call([&] {
    int n = SPI_fnumber(desc, name);
    return n > 0 ? SPI_getvalue(row, desc, n) : nullptr;
  });
  return text ? text : "";
}

TriggerData *trigger_data(FunctionCallInfo fcinfo) {
  if (!CALLED_AS_TRIGGER(fcinfo))
    bridge::raise_sqlstate(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED, "called as a function, not as a trigger");
  return reinterpret_cast<TriggerData *>(fcinfo->context);
}

}  // namespace

void init_navigator() {
  init_quality();
  bridge::register_region({"vectorshard navigator queue", [] { return sizeof(Region); }, init_region,
                           reinterpret_cast<void **>(&region)});
}

void note_missed_access(std::string_view client) noexcept {
  if (!region || client.empty() || client.size() > kClientBytesMost) return;
  bool noted = false;
  LWLockAcquire(&region->lock, LW_EXCLUSIVE);
  if (region->missed_count < kMissedMost) {
    Name &n = region->missed[region->missed_count++];
    n.bytes = static_cast<uint8_t>(client.size());
    memcpy(n.text, client.data(), client.size());
    noted = true;
  }
  LWLockRelease(&region->lock);
  if (noted) bridge::wake(bridge::kNavigator);
}

UntoldPolicies::UntoldPolicies() { untold = true; }
UntoldPolicies::~UntoldPolicies() { untold = false; }

std::vector<std::string> take_missed() {
  std::vector<std::string> out;
  out.reserve(kMissedMost);
  LWLockAcquire(&region->lock, LW_EXCLUSIVE);
  int count = std::exchange(region->missed_count, 0);
  std::vector<Name> names(region->missed, region->missed + count);
  LWLockRelease(&region->lock);
  for (const Name &n : names) out.emplace_back(n.text, n.bytes);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

bool take_policies_changed() { return pg_atomic_exchange_u32(&region->policies_seen, 1) == 0; }

bool take_policies_changed_for_holder() { return pg_atomic_exchange_u32(&region->policies_seen_by_holder, 1) == 0; }

void note_dead_nodes(const std::vector<std::string> &nodes) {
  bool dead[kNodeMax + 1] = {};
  for (const std::string &node : nodes) dead[std::stoi(node)] = true;
  memcpy(region->dead, dead, sizeof dead);
}

bool noted_dead(NodeId node) { return region && region->dead[node]; }

PlaceCounters place_counters() {
  bridge::require_preloaded();
  return {pg_atomic_read_u64(&region->copies), pg_atomic_read_u64(&region->wasted), pg_atomic_read_u64(&region->wishes)};
}

void count_wishes(uint64_t rows) { pg_atomic_fetch_add_u64(&region->wishes, static_cast<int64>(rows)); }

}  // namespace vectorshard::place

using namespace vectorshard;

/// Row trigger on wish (rows by which a planner says that it serves a client) and on policy.
VECTORSHARD_FUNCTION(vectorshard_tell_navigator) {
  return bridge::entry([&]() -> Datum {
    TriggerData *t = place::trigger_data(fcinfo);
    HeapTuple row = TRIGGER_FIRED_BY_UPDATE(t->tg_event) ? t->tg_newtuple : t->tg_trigtuple;
    TupleDesc desc = RelationGetDescr(t->tg_relation);
    bool policy = strcmp(RelationGetRelationName(t->tg_relation), "policy") == 0;
    if (policy && place::untold) return PointerGetDatum(nullptr);
    if (policy || place::column(row, desc, "planner") != std::to_string(bridge::self_node())) {
      auto &tell = place::to_tell();
      tell.clients.push_back(place::column(row, desc, "client"));
      tell.policies |= policy;
    }
    return PointerGetDatum(nullptr);
  });
}

/// Row trigger on holder, when a copy became live or ended: counts those of this node.
VECTORSHARD_FUNCTION(vectorshard_count_copy) {
  return bridge::entry([&]() -> Datum {
    TriggerData *t = place::trigger_data(fcinfo);
    TupleDesc desc = RelationGetDescr(t->tg_relation);
    auto value = [&](const char *name) { return place::column(t->tg_newtuple, desc, name); };
    if (value("node") != std::to_string(bridge::self_node())) return PointerGetDatum(nullptr);
    if (value("state") == "live") {
      pg_atomic_fetch_add_u64(&place::region->copies, 1);
      place::to_tell().clients.push_back(value("client"));  // its motion can be checkpointed now
      return PointerGetDatum(nullptr);
    }
    // The generation is the version given when the copy was asked for.
    int64_t since_unix_us = version_unix_ms(std::stoll(value("generation"))) * 1000;
    auto known = telemetry::known_in_memory(value("client"));
    int64_t epoch_us = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
    if (!known || known->received_at + epoch_us < since_unix_us) pg_atomic_fetch_add_u64(&place::region->wasted, 1);
    return PointerGetDatum(nullptr);
  });
}
