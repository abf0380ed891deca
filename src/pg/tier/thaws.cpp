// Outlook of archived objects: see thaws.hpp.
#include "pg/tier/thaws.hpp"

#include "pg/bridge/lwlocked.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "common/hashfn.h"
#include "utils/timestamp.h"
}

namespace vectorshard::tier {

namespace {

constexpr size_t kKept = 1024;
constexpr double kForgottenAfter = 2;  // times what the store takes: it was frozen again meanwhile

struct Asked {
  uint64_t key;  // its hash
  TimestampTz at;
};
struct Region {
  LWLock lock;
  size_t next;
  Asked asked[kKept];  // the last ones, in a ring
};
Region *region = nullptr;

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  LWLockInitialize(&r->lock, LWLockNewTrancheId());
}

uint64_t hash_of(const std::string &key) {
  return hash_bytes_extended(reinterpret_cast<const unsigned char *>(key.data()), static_cast<int>(key.size()), 0);
}

/// When it was asked for; 0: not known.
TimestampTz asked_at(const std::string &key) {
  uint64_t hash = hash_of(key);
  bridge::LwLocked held(&region->lock, LW_SHARED);
  for (const Asked &a : region->asked)
    if (a.key == hash) return a.at;
  return 0;
}

struct StoreDelay {
  double s = 0;
  std::string words, until_now, until_asked;  // how long it takes, and until when that is
};

StoreDelay delay_of(const std::string &key, TimestampTz asked) {
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept(
      "SELECT s.thaw_s, make_interval(secs => s.thaw_s), date_trunc('second', clock_timestamp() + make_interval(secs => s.thaw_s)), "
      "date_trunc('second', $2 + make_interval(secs => s.thaw_s)) "
      "FROM vectorshard.segment g JOIN vectorshard.store s ON s.store = g.store WHERE g.object_key = $1 LIMIT 1",
      {bridge::p_text(key), bridge::p_timestamptz(asked)}, true);
  StoreDelay out;
  if (rows.empty()) return out;
  out.s = rows.float8(0, 0);
  out.words = rows.at(0, 1);
  out.until_now = rows.at(0, 2);
  out.until_asked = rows.at(0, 3);
  return out;
}

}  // namespace

void register_thaws() {
  bridge::register_region({"vectorshard thaws", [] { return sizeof(Region); }, init_region, reinterpret_cast<void **>(&region)});
}

void note_thaw(const std::string &key) {
  bridge::require_preloaded();
  TimestampTz before = asked_at(key), now = GetCurrentTimestamp();
  if (before != 0 && static_cast<double>(now - before) / 1e6 < kForgottenAfter * delay_of(key, before).s) return;
  uint64_t hash = hash_of(key);
  bridge::LwLocked held(&region->lock, LW_EXCLUSIVE);
  for (Asked &a : region->asked)
    if (a.key == hash) {
      a.at = now;
      return;
    }
  region->asked[region->next++ % kKept] = {hash, now};
}

ThawOutlook thaw_outlook(store::Store &store, const std::string &key) {
  ThawOutlook out;
  auto state = store.state(key);
  if (state.ok()) out.availability = state.value().availability;
  TimestampTz asked = asked_at(key);
  StoreDelay delay = delay_of(key, asked);
  std::string takes = delay.s > 0 ? "The store takes about " + delay.words : "How long the store takes, its thaw_s does not say";
  if (out.availability != store::Availability::thawing)
    out.words = takes + (delay.s > 0 ? ": until about " + delay.until_now + " if it is asked for now." : ".");
  else if (asked == 0)
    out.words = "The store is thawing it; when that was asked for is not known here. " + takes + ".";
  else
    out.words = "The store is thawing it. " + takes + (delay.s > 0 ? ": it will be there at about " + delay.until_asked + "." : ".");
  return out;
}

}  // namespace vectorshard::tier
