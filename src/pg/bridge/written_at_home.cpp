// Times of changes at homes: see written_at_home.hpp.
#include "pg/bridge/written_at_home.hpp"

#include "pg/bridge/client_lock.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/steady.hpp"

namespace vectorshard::bridge {

namespace {

pg_atomic_uint64 *place_of(std::string_view client) {
  return &shared()->written_at_home_us[client_hash(client) % kWrittenPlaces];
}

}  // namespace

void note_written_at_home(std::string_view client) noexcept {
  pg_atomic_uint64 *place = place_of(client);
  auto now = static_cast<uint64>(steady_us());
  uint64 last = pg_atomic_read_u64(place);
  while (last < now && !pg_atomic_compare_exchange_u64(place, &last, now)) {
  }
}

int64 written_at_home_us(std::string_view client) { return static_cast<int64>(pg_atomic_read_u64(place_of(client))); }

}  // namespace vectorshard::bridge
