// The version clock of this node: the largest version given or seen lives in shared memory and is moved by
// compare-and-swap; file `vectorshard/clock` bounds it from above, so a restart begins beyond every version ever given
// or seen. The bound is on disk before any version below it leaves this file; it must never move back.
#include "core/base/version.hpp"
#include "pg/apply/clock.hpp"

#include "pg/apply/api.hpp"
#include "pg/apply/wall.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/fabric/api.hpp"
extern "C" {
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/fd.h"
#include "utils/timestamp.h"
}

namespace vectorshard::apply {

namespace {

constexpr const char *kDirectory = "vectorshard";
constexpr const char *kFile = "vectorshard/clock";
constexpr const char *kTemporary = "vectorshard/clock.tmp";
constexpr const char *kFormat = "vectorshard clock 1\n%lld\n";
// One write of the file pays for this much time of versions.
constexpr int64_t kStrideMsMax = 10000;
constexpr int64_t kUnixToPgEpochMs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000);

/// A restart jumps to the bound, so the stride stays well below what peers accept as skew.
int64_t stride() {
  int64_t ms = std::clamp<int64_t>(bridge::guc::max_clock_skew_ms / 4, 1, kStrideMsMax);
  return ms << (kVersionNodeBits + kVersionCounterBits);
}

/// Called with Shared::lock held. 0 when there is no file.
Version read_file() {
  char text[128] = "";
  int fd = OpenTransientFile(kFile, O_RDONLY | PG_BINARY);
  if (fd < 0) {
    if (errno == ENOENT) return 0;
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not open file \"%s\": %m", kFile)));
  }
  ssize_t n = read(fd, text, sizeof text - 1);
  CloseTransientFile(fd);
  long long bound;
  if (n <= 0 || sscanf(text, kFormat, &bound) != 1)
    ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED), errmsg("file \"%s\" is damaged", kFile),
                    errhint("Remove the file if the clock of this machine was never set back, and retry.")));
  return bound;
}

/// Called with Shared::lock held: the bound is durable when this returns.
void write_file(Version bound) {
  char text[128];
  int n = snprintf(text, sizeof text, kFormat, static_cast<long long>(bound));
  if (MakePGDirectory(kDirectory) < 0 && errno != EEXIST)
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not create directory \"%s\": %m", kDirectory)));
  int fd = OpenTransientFile(kTemporary, O_WRONLY | O_CREAT | O_TRUNC | PG_BINARY);
  if (fd < 0) ereport(ERROR, (errcode_for_file_access(), errmsg("could not create file \"%s\": %m", kTemporary)));
  errno = 0;
  if (write(fd, text, n) != n) {
    if (errno == 0) errno = ENOSPC;
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", kTemporary)));
  }
  if (CloseTransientFile(fd) != 0)
    ereport(ERROR, (errcode_for_file_access(), errmsg("could not close file \"%s\": %m", kTemporary)));
  durable_rename(kTemporary, kFile, ERROR);  // syncs file and directory
}

void raise_high_water(bridge::Shared *s, Version v) {
  uint64 high = pg_atomic_read_u64(&s->clock_high_water);
  while (static_cast<Version>(high) < v && !pg_atomic_compare_exchange_u64(&s->clock_high_water, &high, v)) {
  }
}

/// Makes the bound on disk at least `v`; on the first use after a start also loads it and moves the clock there.
void cover(Version v) {
  bridge::Shared *s = bridge::shared();
  bridge::pg_call([&] {
    LWLockAcquire(s->lock, LW_EXCLUSIVE);
    Version bound = static_cast<Version>(pg_atomic_read_u64(&s->clock_bound));
    if (bound == 0) {
      bound = read_file();
      raise_high_water(s, bound);
      if (bound > v) v = bound;
    }
    if (v >= bound) {
      bound = v + stride();
      write_file(bound);
    }
    pg_atomic_write_u64(&s->clock_bound, bound);
    LWLockRelease(s->lock);
  });
}

bool covered(bridge::Shared *s, Version v) { return v < static_cast<Version>(pg_atomic_read_u64(&s->clock_bound)); }

void check_may_stamp(bridge::Shared *s, NodeId node) {
  if (node == kNoNode)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "this database is not in a fabric", {},
                           "Call vectorshard.create_fabric() or vectorshard.join_fabric() first.");
  if (pg_atomic_read_u32(&s->doubt)) fabric::require_certain();
  if (pg_atomic_read_u32(&s->clock_refused))
    bridge::raise({Errc::clock_skew, "the clock of this node is refused by its peers",
                   "It is more than " + std::to_string(bridge::guc::max_clock_skew_ms) + " ms off.",
                   "Set the clock of this machine right (NTP); writes work again after the next handshake."});
}

/// A clock that was wrong and is right again has left versions in the future: more of them would be refused everywhere.
[[noreturn]] void raise_ahead(int64_t ahead_ms) {
  bridge::raise({Errc::clock_skew, "the versions of this node are ahead of its clock",
                 "They are " + std::to_string(ahead_ms) + " ms ahead; at most " + std::to_string(bridge::guc::max_clock_skew_ms) +
                     " ms are accepted by its peers.",
                 "The clock was wrong before. Writes work again when it has caught up."});
}

}  // namespace

Version stamp(Version replaced) {
  bridge::require_preloaded();
  bridge::Shared *s = bridge::shared();
  NodeId node = bridge::self_node();
  check_may_stamp(s, node);
  if (pg_atomic_read_u64(&s->clock_bound) == 0) cover(0);
  uint64 high = pg_atomic_read_u64(&s->clock_high_water);
  int64_t now_ms = wall_unix_ms();
  for (;;) {
    Version v = next_version(now_ms, static_cast<Version>(high), replaced, node);
    int64_t ahead_ms = version_unix_ms(v) - now_ms;
    if (ahead_ms > bridge::guc::max_clock_skew_ms) raise_ahead(ahead_ms);
    if (!covered(s, v)) cover(v);
    if (pg_atomic_compare_exchange_u64(&s->clock_high_water, &high, static_cast<uint64>(v))) return v;
  }
}

void observe(Version seen) {
  bridge::Shared *s = bridge::shared();
  if (pg_atomic_read_u64(&s->clock_bound) == 0) cover(0);
  if (seen <= static_cast<Version>(pg_atomic_read_u64(&s->clock_high_water))) return;
  int64_t ahead = version_unix_ms(seen) - wall_unix_ms();
  if (ahead > bridge::guc::max_clock_skew_ms)
    bridge::raise({Errc::clock_skew, "version " + std::to_string(seen) + " is " + std::to_string(ahead) + " ms ahead",
                   "At most " + std::to_string(bridge::guc::max_clock_skew_ms) + " ms are accepted.",
                   "Check the clocks of node " + std::to_string(version_node(seen)) + " and of this machine."});
  if (!covered(s, seen)) cover(seen);
  raise_high_water(s, seen);
}

void observe_peer(Version seen) {
  if (seen <= future_limit()) observe(seen);
}

void init() { init_wall(); }

Version future_limit() {
  return version_at_unix_ms(wall_unix_ms() + bridge::guc::max_clock_skew_ms, kNodeMax);
}

Version clock_now() {
  auto high = static_cast<Version>(pg_atomic_read_u64(&bridge::shared()->clock_high_water));
  return std::max(high, version_at_unix_ms(wall_unix_ms(), bridge::self_node()));
}

VECTORSHARD_FUNCTION(vectorshard_next_version) {
  return bridge::entry([&]() -> Datum { return Int64GetDatum(stamp()); });
}

VECTORSHARD_FUNCTION(vectorshard_version_time) {
  return bridge::entry([&]() -> Datum {
    int64_t unix_ms = version_unix_ms(PG_GETARG_INT64(0));
    return TimestampTzGetDatum((unix_ms - kUnixToPgEpochMs) * 1000);
  });
}

}  // namespace vectorshard::apply
