// A believed wall clock: the time since boot plus an offset, which follows the machine's clock while that is slewed or moved a
// little. A jump of more than max_clock_skew_ms is not followed: versions must not leap into the future, nor must what peers
// send look as if it came from there, because somebody set a clock. The shipper asks the peers who is right. What they agreed
// with stands in file `vectorshard/wall`: a server that starts, be it after a crash, begins with it and not with the machine's
// clock, as long as the machine has not been booted since.
#include "pg/apply/wall.hpp"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "pg/apply/api.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
extern "C" {
#include "port/atomics.h"
#include "storage/fd.h"
#include "utils/timestamp.h"
}

namespace vectorshard::apply {

namespace {

constexpr int64_t kUnixToPgEpochMs = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000);
// Smaller moves are jitter of reading two clocks.
constexpr int64_t kFollowMs = 5;
// Two readings further apart than this were interrupted and tell nothing about an offset.
constexpr int64_t kReadingMs = 2;

// A belief that was kept a moment ago is as good as this one.
constexpr int64_t kKeepMs = 500;
constexpr const char *kFile = "vectorshard/wall";
constexpr const char *kTemporary = "vectorshard/wall.tmp";

struct Wall {
  pg_atomic_uint64 offset_ms;  // 0: not read yet
  pg_atomic_uint32 doubted;
};
Wall *wall = nullptr;

/// The first bytes of a file; empty if it cannot be read.
std::string contents(const char *path) {
  char text[128];
  int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  ssize_t n = ::read(fd, text, sizeof text);
  ::close(fd);
  return {text, static_cast<size_t>(std::max<ssize_t>(n, 0))};
}

/// What the file says for this boot of the machine, but for the offset. Empty: the machine does not tell its boots apart.
std::string head_now() {
  std::string boot = contents("/proc/sys/kernel/random/boot_id");
  return boot.empty() ? boot : "vectorshard wall 1\n" + boot;
}

/// The offset that was kept; 0: none of this boot.
int64_t kept_offset_ms() {
  std::string head = head_now(), text = contents(kFile);
  if (head.empty() || text.size() <= head.size() || text.back() != '\n' || text.compare(0, head.size(), head) != 0) return 0;
  return std::strtoll(text.c_str() + head.size(), nullptr, 10);
}

/// Runs in the postmaster, in the data directory.
void init_region(void *memory) {
  auto *w = static_cast<Wall *>(memory);
  pg_atomic_init_u64(&w->offset_ms, static_cast<uint64>(kept_offset_ms()));
  pg_atomic_init_u32(&w->doubted, 0);
}

int64_t since_boot_ms() {
  timespec t{};
  clock_gettime(CLOCK_BOOTTIME, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1000000;
}

int64_t machine_ms() { return GetCurrentTimestamp() / 1000 + kUnixToPgEpochMs; }

}  // namespace

void init_wall() {
  bridge::register_region({"vectorshard wall clock", [] { return sizeof(Wall); }, init_region, reinterpret_cast<void **>(&wall)});
}

int64_t wall_unix_ms() {
  int64_t before = since_boot_ms(), machine = machine_ms(), after = since_boot_ms();
  if (!wall) return machine;
  int64_t offset = machine - after;
  auto believed = static_cast<int64_t>(pg_atomic_read_u64(&wall->offset_ms));
  if (believed == 0) {
    uint64 none = 0;
    if (pg_atomic_compare_exchange_u64(&wall->offset_ms, &none, static_cast<uint64>(offset))) return machine;
    believed = static_cast<int64_t>(none);
  }
  if (after - before > kReadingMs) return after + believed;
  int64_t moved = std::abs(offset - believed);
  bool jumped = moved > bridge::guc::max_clock_skew_ms;
  if (jumped != (pg_atomic_read_u32(&wall->doubted) != 0)) pg_atomic_write_u32(&wall->doubted, jumped ? 1 : 0);
  if (jumped) return after + believed;
  if (moved >= kFollowMs) pg_atomic_write_u64(&wall->offset_ms, static_cast<uint64>(offset));
  return machine;
}

bool wall_doubted() {
  (void)wall_unix_ms();
  return wall && pg_atomic_read_u32(&wall->doubted) != 0;
}

void believe_wall() {
  if (wall) pg_atomic_write_u64(&wall->offset_ms, static_cast<uint64>(machine_ms() - since_boot_ms()));
}

void keep_wall() {
  static int64_t kept = 0;
  auto believed = static_cast<int64_t>(pg_atomic_read_u64(&wall->offset_ms));
  if (std::abs(believed - kept) <= kKeepMs) return;
  kept = believed;
  std::string head = head_now();
  if (head.empty() || std::abs(believed - kept_offset_ms()) <= kKeepMs) return;
  std::string text = head + std::to_string(believed) + "\n";
  int fd = ::open(kTemporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool written = fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (fd >= 0) written = ::close(fd) == 0 && written;
  // Without the file a start believes the machine's clock, as the first one does.
  bridge::pg_call([&] {
    if (!written)
      ereport(LOG, (errcode_for_file_access(), errmsg("could not write file \"%s\": %m", kTemporary)));
    else
      (void)durable_rename(kTemporary, kFile, LOG);
  });
}

VECTORSHARD_FUNCTION(vectorshard_wall_ms) {
  return bridge::entry([&]() -> Datum { return Int64GetDatum(wall_unix_ms()); });
}

}  // namespace vectorshard::apply
