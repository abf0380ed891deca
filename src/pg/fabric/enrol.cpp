// create_vector_shard_table, create_reference_table, undistribute_table: who may, and as whom it runs. The work itself
// is in 07_enrol.sql. The caller must own the table; the work (publication, foreign child, catalog rows) then runs as
// the owner of the extension. Nothing of the table's own code (defaults, triggers, rules) runs meanwhile.
#include "pg/bridge/arguments.hpp"
#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
#include "pg/bridge/shmem.hpp"
#include "pg/bridge/spi.hpp"
extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "access/xact.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
}

using namespace vectorshard;

namespace {

bool is_owner(Oid relid) {
  return bridge::pg_call([&] {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relid, GetUserId());
#else
    return pg_class_ownercheck(relid, GetUserId());
#endif
  });
}

void require_argument(FunctionCallInfo fcinfo, int i, const char *what) {
  if (fcinfo->args[i].isnull)
    bridge::raise_sqlstate(ERRCODE_NULL_VALUE_NOT_ALLOWED, std::string(what) + " must not be null", "",
                           "Name a table, and for a vector-shard table the column that tells whose row it is.");
}

std::string consistency_argument(FunctionCallInfo fcinfo, int i) {
  std::string given = fcinfo->args[i].isnull ? "" : bridge::text_argument(fcinfo, i);
  if (given != "eventual" && given != "home")
    bridge::raise_sqlstate(ERRCODE_INVALID_PARAMETER_VALUE, "consistency must be eventual or home",
                           given.empty() ? "It is null." : "It is \"" + given + "\".",
                           "Leave it out for eventual: every holder of a client reads and writes its copy. With home all do so at the client's home.");
  return given;
}

void require_owner(Oid relid) {
  char *name = bridge::pg_call([&] { return get_rel_name(relid); });
  if (!name)
    bridge::raise_sqlstate(ERRCODE_UNDEFINED_TABLE, "table does not exist", "No relation has OID " + std::to_string(relid) + ".",
                           "Name an existing table.");
  if (!is_owner(relid))
    bridge::raise_sqlstate(ERRCODE_INSUFFICIENT_PRIVILEGE, std::string("must be owner of table ") + name,
                           "Only the owner of a table, or a superuser, may make it part of the fabric.",
                           "Let the owner call this function.");
}

/// Runs one statement as the owner of the extension. An error needs no clean-up here: the (sub)transaction's abort
/// restores the user.
void run_as_extension_owner(const char *sql, const std::vector<bridge::Param> &params) {
  bridge::Spi spi;
  Oid owner = static_cast<Oid>(spi.query("SELECT extowner::int8 FROM pg_extension WHERE extname = 'vectorshard'").int8(0, 0));
  Oid caller;
  int context;
  GetUserIdAndSecContext(&caller, &context);
  SetUserIdAndSecContext(owner, context | SECURITY_LOCAL_USERID_CHANGE);
  spi.query(sql, params);
  SetUserIdAndSecContext(caller, context);
}

}  // namespace

/// lock_table(table): by its OID, whatever it is called when the lock comes. What is looked at afterwards is what an ALTER TABLE that went before has left;
/// under a snapshot from before, the rows and columns of yesterday would be enrolled.
VECTORSHARD_FUNCTION(vectorshard_lock_table) {
  return bridge::entry([&]() -> Datum {
    Oid relid = PG_GETARG_OID(0);
    if (IsolationUsesXactSnapshot())
      bridge::raise_sqlstate(ERRCODE_ACTIVE_SQL_TRANSACTION, "a table is enrolled or taken out at isolation level READ COMMITTED only",
                             "The snapshot of this transaction may be older than rows and columns of the table.",
                             "Call this in a transaction of its own, or BEGIN ISOLATION LEVEL READ COMMITTED.");
    char *name = bridge::pg_call([&] {
      LockRelationOid(relid, AccessExclusiveLock);
      return get_rel_name(relid);
    });
    if (!name)
      bridge::raise_sqlstate(ERRCODE_UNDEFINED_TABLE, "table does not exist any more", "It was dropped while its lock was waited for.",
                             "Name an existing table.");
    PG_RETURN_VOID();
  });
}

VECTORSHARD_FUNCTION(vectorshard_create_vector_shard_table) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    require_argument(fcinfo, 0, "table");
    require_argument(fcinfo, 1, "client column");
    std::string consistency = consistency_argument(fcinfo, 2);
    Oid relid = PG_GETARG_OID(0);
    require_owner(relid);
    run_as_extension_owner("SELECT vectorshard.enrol($1, 'vector_shard', $2::name, $3)",
                           {bridge::p_oid(relid), bridge::p_text(NameStr(*PG_GETARG_NAME(1))), bridge::p_text(consistency)});
    return 0;
  });
}

VECTORSHARD_FUNCTION(vectorshard_create_reference_table) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    require_argument(fcinfo, 0, "table");
    Oid relid = PG_GETARG_OID(0);
    require_owner(relid);
    run_as_extension_owner("SELECT vectorshard.enrol($1, 'reference', NULL)", {bridge::p_oid(relid)});
    return 0;
  });
}

VECTORSHARD_FUNCTION(vectorshard_undistribute_table) {
  return bridge::entry([&]() -> Datum {
    bridge::require_preloaded();
    require_argument(fcinfo, 0, "table");
    Oid relid = PG_GETARG_OID(0);
    require_owner(relid);
    run_as_extension_owner("SELECT vectorshard.undistribute($1)", {bridge::p_oid(relid)});
    return 0;
  });
}
