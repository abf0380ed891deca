// Progress, rate and pause of moves: see progress.hpp.
#include "pg/tier/progress.hpp"

#include <algorithm>

#include "pg/bridge/guard.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
#include "pg/bridge/steady.hpp"
#include "pg/tier/stores.hpp"
extern "C" {
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "utils/guc.h"
}

namespace vectorshard::tier {

namespace {

// Written by the tiering worker alone. A reader may see some of an older phase: it looks again.
struct Region {
  pg_atomic_uint64 move, rows, rows_total, bytes, bytes_total, since_us;
  pg_atomic_uint32 phase;
};
Region *region = nullptr;

bool moving = false;        // this process is at a move
double row_bytes = 0;       // of the phase
double paid_until_s = 0;    // what was counted is paid for up to then, at the rate
constexpr double kDefaultRowBytes = 256;
constexpr double kMostPauseS = 0.1;  // between looks for interrupts

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  for (pg_atomic_uint64 *v : {&r->move, &r->rows, &r->rows_total, &r->bytes, &r->bytes_total, &r->since_us}) pg_atomic_init_u64(v, 0);
  pg_atomic_init_u32(&r->phase, 0);
}

void set(pg_atomic_uint64 &v, int64_t n) { pg_atomic_write_u64(&v, static_cast<uint64_t>(n)); }
int64_t get(pg_atomic_uint64 &v) { return static_cast<int64_t>(pg_atomic_read_u64(&v)); }

/// A step may take hours: settings that change meanwhile count at once, a pause above all.
void look_up() {
  bridge::pg_call([] {
    CHECK_FOR_INTERRUPTS();
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
  });
  if (!bridge::guc::tiering)
    bridge::raise_sqlstate(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "tiering is paused", "The setting \"vectorshard.tiering\" is off.",
                           "The move begins anew when it is on.");
}

/// Waits until the rate allows for the bytes. Nothing is saved up: a pause is followed by the rate, not by a burst.
void pay(double bytes) {
  look_up();
  if (bridge::guc::tier_rate_mb_s <= 0) return;
  double now_s = bridge::steady_s();
  paid_until_s = std::max(paid_until_s, now_s) + bytes / (bridge::guc::tier_rate_mb_s * 1048576);
  while ((now_s = bridge::steady_s()) < paid_until_s && bridge::guc::tier_rate_mb_s > 0) {
    double pause_s = std::min(paid_until_s - now_s, kMostPauseS);
    bridge::pg_call([&] {
      pgstat_report_wait_start(PG_WAIT_EXTENSION);
      pg_usleep(static_cast<long>(pause_s * 1e6) + 1);
      pgstat_report_wait_end();
    });
    look_up();
  }
}

}  // namespace

void register_progress() {
  bridge::register_region({"vectorshard tier progress", [] { return sizeof(Region); }, init_region, reinterpret_cast<void **>(&region)});
}

AtMove::AtMove(int64_t move) {
  moving = true;
  begin_phase(Phase::none, 0, 0);
  set(region->move, move);
}

AtMove::~AtMove() {
  set(region->move, 0);
  moving = false;
}

void begin_phase(Phase phase, int64_t rows, int64_t bytes) {
  if (!moving) return;
  set(region->rows, 0);
  set(region->bytes, 0);
  set(region->rows_total, rows);
  set(region->bytes_total, bytes);
  set(region->since_us, bridge::steady_us());
  pg_atomic_write_u32(&region->phase, static_cast<uint32_t>(phase));
  row_bytes = rows > 0 ? static_cast<double>(bytes) / static_cast<double>(rows) : kDefaultRowBytes;
}

void begin_loading(const std::string &segment) {
  if (!moving) return;
  AsOwner owner;
  bridge::Spi spi;
  bridge::Rows rows = spi.query_kept("SELECT rows, bytes FROM vectorshard.segment WHERE segment = $1", {bridge::p_text(segment)}, true);
  if (!rows.empty()) begin_phase(Phase::loading, rows.int8(0, 0), rows.int8(0, 1));
}

void count_rows(size_t rows) {
  if (!moving) return;
  pg_atomic_fetch_add_u64(&region->rows, static_cast<int64>(rows));
  pay(static_cast<double>(rows) * row_bytes);
}

void count_verified(size_t rows) {
  if (!moving) return;
  pg_atomic_fetch_add_u64(&region->rows, static_cast<int64>(rows));
  look_up();
}

void count_bytes(Phase of, size_t bytes) {
  if (!moving) return;
  auto phase = static_cast<Phase>(pg_atomic_read_u32(&region->phase));
  if (of == Phase::storing ? phase != of : phase != Phase::verifying && phase != Phase::loading) return;
  pg_atomic_fetch_add_u64(&region->bytes, static_cast<int64>(bytes));
  pay(static_cast<double>(bytes));
}

Progress progress() {
  bridge::require_preloaded();
  Progress p;
  p.move = get(region->move);
  p.phase = static_cast<Phase>(pg_atomic_read_u32(&region->phase));
  p.rows = get(region->rows);
  p.rows_total = get(region->rows_total);
  p.bytes = get(region->bytes);
  p.bytes_total = get(region->bytes_total);
  p.elapsed_s = static_cast<double>(bridge::steady_us() - get(region->since_us)) / 1e6;
  return p;
}

}  // namespace vectorshard::tier
