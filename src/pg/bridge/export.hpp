// Exporting C functions under -fvisibility=hidden. In each file that defines SQL-callable functions:
//
//   VECTORSHARD_FUNCTION(vectorshard_stamp) { return bridge::entry([&]() -> Datum { ... }); }
#pragma once
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "fmgr.h"
}

#define VECTORSHARD_FUNCTION(name)                                                                       \
  extern "C" __attribute__((visibility("default"))) const Pg_finfo_record *pg_finfo_##name(void) {        \
    static const Pg_finfo_record record = {1};                                                           \
    return &record;                                                                                      \
  }                                                                                                      \
  extern "C" __attribute__((visibility("default"))) Datum name(PG_FUNCTION_ARGS)
