// The validator of vectorshard_fdw and the look-up of a foreign table's role. It never lets a secret stand on a server.
#include "pg/read/options.hpp"

#include <libpq-fe.h>

#include "pg/bridge/export.hpp"
#include "pg/bridge/guard.hpp"
extern "C" {
#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_foreign_table.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "utils/builtins.h"
}

namespace vectorshard::read {

namespace {

struct Option {
  const char *name;
  Oid catalog;  // the catalog of the objects that may carry it
};

constexpr Option kOptions[] = {{"role", ForeignTableRelationId}, {"file", ForeignTableRelationId}, {"folder", ForeignTableRelationId},
                               {"allow_http", ForeignServerRelationId}};

// Credentials of a store, whose server has its name (src/pg/tier/store_server.hpp).
constexpr const char *kStoreSecrets[] = {"access_key_id", "secret_access_key", "session_token", "account_key", "sas_token"};

bool is_store_secret(const char *name) {
  for (const char *s : kStoreSecrets)
    if (strcmp(s, name) == 0) return true;
  return false;
}

// Set by the link itself: what a session of ours may rely on.
constexpr const char *kSetByLink[] = {"application_name", "fallback_application_name", "client_encoding", "options",
                                      "replication"};

bool is_secret(const PQconninfoOption &o) { return strcmp(o.keyword, "user") == 0 || *o.dispchar == '*'; }

/// Whether libpq's option may stand on objects of `catalog`. Secrets stand in user mappings only; a client certificate
/// and its key (which are file names) in both.
bool takes(const PQconninfoOption &o, Oid catalog) {
  for (const char *name : kSetByLink)
    if (strcmp(o.keyword, name) == 0) return false;
  if (*o.dispchar == 'D') return false;  // for debugging libpq
  bool either = strcmp(o.keyword, "sslcert") == 0 || strcmp(o.keyword, "sslkey") == 0;
  if (catalog == UserMappingRelationId) return either || is_secret(o);
  return catalog == ForeignServerRelationId && !is_secret(o);
}

/// libpq's options; they live as long as the process.
const PQconninfoOption *libpq_options() {
  static const PQconninfoOption *options = nullptr;
  if (!options) options = PQconndefaults();
  if (!options) ereport(ERROR, (errcode(ERRCODE_FDW_OUT_OF_MEMORY), errmsg("out of memory")));
  return options;
}

bool known(const char *name, Oid catalog) {
  for (const Option &o : kOptions)
    if (o.catalog == catalog && strcmp(o.name, name) == 0) return true;
  if (is_store_secret(name)) return catalog == UserMappingRelationId;
  for (const PQconninfoOption *o = libpq_options(); o->keyword; o++)
    if (strcmp(o->keyword, name) == 0) return takes(*o, catalog);
  return false;
}

bool is_secret(const char *name) {
  if (is_store_secret(name)) return true;
  for (const PQconninfoOption *o = libpq_options(); o->keyword; o++)
    if (strcmp(o->keyword, name) == 0) return is_secret(*o);
  return false;
}

const char *valid_options(Oid catalog) {
  if (catalog == ForeignServerRelationId)
    return "Valid options in this context are libpq's (host, port, dbname, sslmode, sslrootcert, …) but for secrets and what "
           "the connection itself sets; of a store, allow_http and sslrootcert.";
  if (catalog == UserMappingRelationId)
    return "Valid options in this context are: user, password, sslcert, sslkey, sslpassword; of a store, access_key_id, "
           "secret_access_key, session_token (S3), account_key, sas_token (Azure).";
  if (catalog == ForeignTableRelationId) return "Valid options in this context are: role; of role parquet, file or folder.";
  return "There are no valid options in this context.";
}

void refuse_unknown(const char *name, Oid catalog) {
  if (catalog != UserMappingRelationId && is_secret(name))
    ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
                    errmsg("option \"%s\" is not allowed on a %s", name, catalog == ForeignServerRelationId ? "server" : "foreign table"),
                    errdetail("Everybody can read the options of a %s.", catalog == ForeignServerRelationId ? "server" : "foreign table"),
                    errhint("Secrets stand in user mappings only: CREATE USER MAPPING FOR … SERVER … OPTIONS (user …, "
                            "password …).")));
  ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_OPTION_NAME), errmsg("invalid option \"%s\"", name),
                  errhint("%s", valid_options(catalog))));
}

void refuse_value(const char *name, const char *value, const char *hint) {
  ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
                  errmsg("invalid value for option \"%s\": \"%s\"", name, value), errhint("%s", hint)));
}

bool parse_role(const char *text, Role *role) {
  if (strcmp(text, "elsewhere") == 0)
    *role = Role::elsewhere;
  else if (strcmp(text, "telemetry") == 0)
    *role = Role::telemetry;
  else if (strcmp(text, "parquet") == 0)
    *role = Role::parquet;
  else
    return false;
  return true;
}

void check_number(const char *name, const char *value, long min, long max) {
  char *end = nullptr;
  errno = 0;
  long v = strtol(value, &end, 10);
  if (errno || end == value || *end || v < min || v > max)
    refuse_value(name, value, psprintf("Give a whole number from %ld to %ld.", min, max));
}

void check_value(const char *name, const char *value) {
  static const char *const kSslModes[] = {"disable", "allow", "prefer", "require", "verify-ca", "verify-full"};
  Role role;
  if (strcmp(name, "port") == 0) check_number(name, value, 1, 65535);
  if (strcmp(name, "connect_timeout") == 0) check_number(name, value, 0, 86400);
  if (strcmp(name, "role") == 0 && !parse_role(value, &role))
    refuse_value(name, value, "Valid roles are: elsewhere, telemetry, parquet.");
  bool on = false;
  if (strcmp(name, "allow_http") == 0 && !parse_bool(value, &on)) refuse_value(name, value, "Give on or off.");
  if (is_store_secret(name) && (!*value || strpbrk(value, "\r\n")))
    ereport(ERROR, (errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE), errmsg("invalid value for option \"%s\"", name),
                    errhint("Give it on one line.")));
  if (strcmp(name, "sslmode") == 0) {
    for (const char *mode : kSslModes)
      if (strcmp(mode, value) == 0) return;
    refuse_value(name, value, "Valid modes are: disable, allow, prefer, require, verify-ca, verify-full.");
  }
}

}  // namespace

Role role_of(Oid foreign_table) {
  Role role = Role::elsewhere;
  ListCell *lc;
  foreach (lc, GetForeignTable(foreign_table)->options) {
    DefElem *def = static_cast<DefElem *>(lfirst(lc));
    if (strcmp(def->defname, "role") == 0) parse_role(defGetString(def), &role);
  }
  return role;
}

VECTORSHARD_FUNCTION(vectorshard_fdw_validator) {
  return bridge::entry([&]() -> Datum {
    List *options = untransformRelOptions(PG_GETARG_DATUM(0));
    Oid catalog = PG_GETARG_OID(1);
    ListCell *lc;
    foreach (lc, options) {
      DefElem *def = static_cast<DefElem *>(lfirst(lc));
      if (!known(def->defname, catalog)) refuse_unknown(def->defname, catalog);
      check_value(def->defname, defGetString(def));
    }
    PG_RETURN_VOID();
  });
}

}  // namespace vectorshard::read
