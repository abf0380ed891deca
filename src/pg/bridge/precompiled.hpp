// Precompiled for every file under src/pg (Makefile): parsing these headers is most of the time a file takes to build.
// Stable headers only. A file must still include what it uses; it must build without this one.
#ifndef VECTORSHARD_PG_BRIDGE_PRECOMPILED_HPP  // a pragma would warn where this is the main file
#define VECTORSHARD_PG_BRIDGE_PRECOMPILED_HPP
#include "pg/bridge/postgres.hpp"
extern "C" {
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "foreign/fdwapi.h"
#include "foreign/foreign.h"
#include "funcapi.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
}
#endif
