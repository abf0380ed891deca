// _PG_init and nothing else: the only file that knows all stages.
#include "pg/bridge/gucs.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/fabric/init.hpp"
#include "pg/place/api.hpp"
#include "pg/read/api.hpp"
#include "pg/tier/passes.hpp"

extern "C" {
#include "fmgr.h"
#include "miscadmin.h"
#pragma GCC visibility push(default)  // PostgreSQL 15: PGDLLEXPORT is empty, so export by hand
PG_MODULE_MAGIC;
void _PG_init(void);
#pragma GCC visibility pop
}

using namespace vectorshard;

void _PG_init(void) {
  bridge::guc::define();
  if (!process_shared_preload_libraries_in_progress) return;
  place::init_holder();
  tier::init();
  bridge::install_shmem_hooks();
  fabric::init();
  read::init();
}
