// Passes over the policies: see passes.hpp.
#include "pg/tier/passes.hpp"

#include "pg/bridge/shmem.hpp"
#include "pg/tier/progress.hpp"
#include "pg/tier/thaws.hpp"

namespace vectorshard::tier {

namespace {

struct Region {
  pg_atomic_uint64 asked, made;
};
Region *region = nullptr;

void init_region(void *memory) {
  auto *r = static_cast<Region *>(memory);
  pg_atomic_init_u64(&r->asked, 0);
  pg_atomic_init_u64(&r->made, 0);
}

}  // namespace

void init() {
  register_progress();
  register_thaws();
  bridge::register_region({"vectorshard tiering", [] { return sizeof(Region); }, init_region, reinterpret_cast<void **>(&region)});
}

uint64_t ask_for_pass() {
  bridge::require_preloaded();
  uint64_t number = pg_atomic_add_fetch_u64(&region->asked, 1);
  bridge::wake(bridge::kTiering);
  return number;
}

uint64_t asked_pass() { return pg_atomic_read_u64(&region->asked); }

uint64_t last_pass() {
  bridge::require_preloaded();
  return pg_atomic_read_u64(&region->made);
}

void set_last_pass(uint64_t number) { pg_atomic_write_u64(&region->made, number); }

}  // namespace vectorshard::tier
